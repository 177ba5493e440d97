// Room: supervisor. Owns the totals of what the workers of a pool observe: every series that can be known is there from the
// start.
import { Tally } from "../domain/tally.ts";
import { poolJobNames, unpackJobNames } from "../jobs/contract.ts";

export function startTotals(): Tally {
  const totals = new Tally();
  totals.startAll();
  const jobs = { pool: poolJobNames, unpack: unpackJobNames } as const;
  for (const queue of ["pool", "unpack"] as const) {
    for (const job of jobs[queue]) {
      totals.start("snapmill_job_wait_seconds", { queue, job });
      totals.start("snapmill_operation_duration_seconds", { operation: job, code: "ok" });
    }
  }
  return totals;
}
