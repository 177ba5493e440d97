// Room: service. Owns doctor: the faults of a pool, found by its worker, in its queue and in its database.
import { z } from "zod";
import { Canceller } from "../domain/cancellation.ts";
import type { Diagnosis } from "../domain/findings.ts";
import { quoted } from "../domain/quoted.ts";
import { jobs } from "../jobs/contract.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import type { DamagedJob } from "../jobs/requests/failed-jobs.ts";
import { operation } from "./operation.ts";
import { takePoolTurn } from "./pool-turn.ts";
import type { Ending, PoolService } from "./service.ts";
import { readStore } from "./store.ts";

type Findings = readonly Diagnosis[];

/**
 * Compares database, active devices and pool; with `repair`, repairs what is safe to repair. If a snapmill serves the
 * pool, its worker does this; otherwise a separate process with exclusive access to the pool, which `signal` ends after
 * the current step. Throws not_found if there is no such pool.
 */
export const doctor = operation(
  { input: z.object({ repair: z.boolean().prefault(false) }), output: jobs.doctor.result },
  async (service: PoolService, { repair }, { signal = new Canceller().signal }: Ending = {}) => {
    readStore(service.config, () => undefined);
    const findings = await takePoolTurn<Findings>(service, {
      byWorker: (client) => askWorker(client, repair, signal),
      byProcess: async () => {
        const { examineStopped } = await import("../supervisor/stopped-pool.ts");
        return await examineStopped(service.config, repair, signal);
      },
      signal,
    });
    return { findings };
  },
);

/** Enough to check thousands of devices, each of which may have to be removed. */
const deadlineMs = 30 * 60_000;

async function askWorker(client: JobClient, repair: boolean, signal: AbortSignal): Promise<Findings> {
  const damaged = await client.damagedJobs();
  const { findings } = await client.call("doctor", { repair }, { deadlineMs, signal });
  return [...findings, ...damaged.map(damagedJob)];
}

const damagedJob = ({ jobId, damage }: DamagedJob): Diagnosis => ({
  kind: "damaged-job",
  subject: quoted(jobId),
  sentence: `the failed job ${quoted(jobId)} was not written by snapmill: ${damage}`,
  wayOut: "find out what else writes to this Redis; then remove the job in the dashboard",
  repaired: false,
});
