// Room: service. Owns doctor: the faults of a pool, found by its worker, in its queue and in its database.
import { z } from "zod";
import { Canceller } from "../domain/cancellation.ts";
import { invalidArgument } from "../domain/errors.ts";
import { type Diagnosis, diagnosed, type FindingKind } from "../domain/findings.ts";
import { describeHolders, type FoundHolders } from "../domain/holders.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import { quoted } from "../domain/quoted.ts";
import { passedOver } from "../domain/repair-choice.ts";
import { jobs, type RequestOf } from "../jobs/contract.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import type { DamagedJob } from "../jobs/requests/failed-jobs.ts";
import { heldBy, holdersOfDevices, shownHolders } from "./holders.ts";
import { operation } from "./operation.ts";
import { takePoolTurn } from "./pool-turn.ts";
import type { Asked, PoolService } from "./service.ts";
import { readStore } from "./store.ts";

type Findings = readonly Diagnosis[];

/**
 * Compares database, active devices and pool; with `repair`, repairs what is safe to repair, or `only` what is named by
 * its `id`; what of that is gone, or not safe to repair, is in `passedOver`. If a snapmill serves the pool, its worker does
 * this; otherwise a separate process with exclusive access to the pool, which `signal` ends after the current step. Throws not_found if there is no such pool.
 */
export const doctor = operation(
  {
    input: z.object({
      repair: z.boolean().prefault(false),
      /** Left out: all that is safe to repair. */
      only: jobs.doctor.payload.shape.only.refine((ids) => ids?.length !== 0, "choose at least one finding"),
    }),
    output: z.object({
      findings: z.array(
        jobs.doctor.result.shape.findings.unwrap().element.extend({
          id: z.string(),
          repairable: z.boolean(),
          /** Of a removal that is left; null: of anything else. */
          heldBy: heldBy.nullable(),
        }),
      ),
      /** Of `only`, what was not repaired, and why. */
      passedOver: z.array(z.object({ id: z.string(), why: z.enum(["gone", "not repairable"]) })),
    }),
    recovery: "journaled",
  },
  async (service: PoolService, request, { operationId, signal = new Canceller().signal }: Asked = {}) => {
    if (request.only !== undefined && !request.repair)
      throw invalidArgument("only: says what a repair is to mend, so ask for 'repair' as well");
    readStore(service.config, () => undefined);
    const findings = await takePoolTurn<Findings>(service, {
      byWorker: (client) => askWorker(client, request, { operationId, signal }),
      byProcess: async () => {
        const { examineStopped } = await import("../supervisor/stopped-pool.ts");
        return await examineStopped(service.config, request, signal);
      },
      signal,
    });
    return {
      findings: await withHolders(service, findings),
      passedOver: passedOver(findings, request.only ?? []),
    };
  },
);

const isRemoval: ReadonlySet<FindingKind> = new Set(["removal-pending", "removal-given-up", "removal-discarded"]);

/** Found here, since the pool's worker has other work to do. */
async function withHolders(service: Pick<PoolService, "devicePath">, findings: Findings) {
  const isLeft = ({ kind, repaired }: Diagnosis) => isRemoval.has(kind) && !repaired;
  const devices = findings.filter(isLeft).map(({ subject }) => subject as DeviceName);
  const found = await holdersOfDevices(service, devices);
  return findings.map((finding) => {
    const use = isLeft(finding) ? found.get(finding.subject as DeviceName) : undefined;
    if (use === undefined) return { ...finding, heldBy: null };
    return {
      ...finding,
      sentence: `${finding.sentence}; ${describeNow(use, finding.sentence)}`,
      heldBy: shownHolders(use),
    };
  });
}

/** `told`: with what the last attempt has found. */
function describeNow({ holders, more, isComplete }: FoundHolders, told: string): string {
  if (holders.length === 0) return isComplete ? "now nobody here holds it" : "the search for its holder took too long";
  const holder = describeHolders(holders, more);
  return told.includes(holder) ? "that is still so" : `now it is ${holder}`;
}

/** Enough to check thousands of devices, each of which may have to be removed. */
const deadlineMs = 30 * 60_000;

async function askWorker(client: JobClient, request: RequestOf<"doctor">, asked: Asked): Promise<Findings> {
  const damaged = await client.damagedJobs();
  const { findings } = await client.call("doctor", request, { deadlineMs, ...asked });
  return [...findings, ...damaged.map(damagedJob)];
}

const damagedJob = ({ jobId, damage }: DamagedJob): Diagnosis =>
  diagnosed(
    {
      kind: "damaged-job",
      subject: quoted(jobId),
      sentence: `the failed job ${quoted(jobId)} was not written by snapmill: ${damage}`,
      wayOut:
        "find out what else writes to this Redis; then remove the job there (its keys are those that contain its ID)",
      repairable: false,
    },
    false,
  );
