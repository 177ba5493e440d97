// Room: bench. Owns what a snapmill says of the unpacks that it has done: where their time went, and how much memory it took.
import { readFileSync } from "node:fs";
import type { PoolName } from "../src/domain/identifiers.ts";
import { dashboardQueues } from "../src/jobs/dashboard-queues.ts";
import { processesOf } from "../test/support/residue.ts";

/** Milliseconds by phase, added up over the layers of the newest `count` unpacks, as the workers wrote them into the jobs' logs. */
export async function phasesOf(redisUrl: string, pool: PoolName, count: number): Promise<ReadonlyMap<string, number>> {
  await using queues = await dashboardQueues(redisUrl, pool);
  const sums = new Map<string, number>();
  for (const job of await queues.unpack.getJobs(["completed"], 0, count - 1)) {
    const { logs } = await queues.unpack.getJobLogs(job.id ?? "");
    for (const [, phase = "", ms] of logs.join("\n").matchAll(/(\w+) (\d+)(?=[,)])/g)) {
      sums.set(phase, (sums.get(phase) ?? 0) + Number(ms));
    }
  }
  return sums;
}

/** Peak resident memory of the processes that use the state directory, by program, in MiB. */
export function peaksOf(stateDir: string): ReadonlyMap<string, number> {
  const peaks = new Map<string, number>();
  for (const line of processesOf(stateDir)) {
    const [, pid = ""] = /^process (\d+):/.exec(line) ?? [];
    const name = /workers\/\w+|redis-server/.exec(line)?.[0] ?? "other";
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    peaks.set(name, (peaks.get(name) ?? 0) + Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  }
  return peaks;
}
