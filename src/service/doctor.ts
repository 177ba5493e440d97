// Room: service. Owns doctor: the faults of a pool, found by its worker, in its queue and in its database.
import { z } from "zod";
import { Canceller } from "../domain/cancellation.ts";
import type { Diagnosis } from "../domain/findings.ts";
import { quoted } from "../domain/quoted.ts";
import { jobs } from "../jobs/contract.ts";
import type { FailedRemoval } from "../jobs/outbox/removal-publisher.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import type { DamagedJob } from "../jobs/requests/failed-jobs.ts";
import { pendingRemovals } from "../metadata/pending-removals.ts";
import type { LocalService } from "./local-service.ts";
import { operation } from "./operation.ts";
import { takePoolTurn } from "./pool-turn.ts";
import type { Ending } from "./service.ts";
import { readStore } from "./store.ts";

type Findings = readonly Diagnosis[];

/**
 * Compares database, active devices and pool; with `repair`, repairs what is safe to repair. If a snapmill serves the
 * pool, its worker does this; otherwise a separate process with exclusive access to the pool, which `signal` ends after
 * the current step. Throws not_found if there is no such pool.
 */
export const doctor = operation(
  { input: z.object({ repair: z.boolean() }), output: jobs.doctor.result },
  async (service: LocalService, { repair }, { signal = new Canceller().signal }: Ending = {}) => {
    readStore(service.config, () => undefined);
    const findings = await takePoolTurn<Findings>(service, {
      byWorker: (client) => askWorker(service, client, repair, signal),
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

async function askWorker(
  { config }: LocalService,
  client: JobClient,
  repair: boolean,
  signal: AbortSignal,
): Promise<Findings> {
  const given = await client.failedRemovals();
  const damaged = await client.damagedJobs();
  const { findings } = await client.call("doctor", { repair }, { deadlineMs, signal });
  const pending = new Set<string>(readStore(config, pendingRemovals).map(({ device }) => device));
  const failed = new Set<string>(given.map(({ device }) => device));
  return [
    // A removal that was given up is reported as such, not as pending.
    ...findings.filter(({ kind, subject }) => kind !== "removal-pending" || !failed.has(subject)),
    ...given
      .filter(({ device }) => repair || pending.has(device))
      .map((removal) => givenUp(removal, !pending.has(removal.device))),
    ...damaged.map(damagedJob),
  ];
}

const givenUp = ({ device, reason, failedAtMs }: FailedRemoval, repaired: boolean): Diagnosis => ({
  kind: "removal-given-up",
  subject: device,
  sentence: `the removal of device ${device} was given up on ${new Date(failedAtMs).toISOString()}: ${reason}`,
  wayOut:
    "unmount or close the device; then 'snapmill cleanup', 'snapmill doctor --repair' or the next start removes it",
  repaired,
});

const damagedJob = ({ jobId, damage }: DamagedJob): Diagnosis => ({
  kind: "damaged-job",
  subject: quoted(jobId),
  sentence: `the failed job ${quoted(jobId)} was not written by snapmill: ${damage}`,
  wayOut: "find out what else writes to this Redis; then remove the job in the dashboard",
  repaired: false,
});
