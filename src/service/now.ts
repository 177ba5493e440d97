// Room: service. Owns what a pool does at this moment: its serial worker, its unpacks, and what has failed within a day.
import { z } from "zod";
import { addedUp, type Failures, spanMs } from "../domain/history.ts";
import { readHistory } from "../metadata/history.ts";
import { askUp } from "./ask-up.ts";
import { operation } from "./operation.ts";
import type { PoolService } from "./service.ts";
import { recordsIfReadable } from "./service-records.ts";
import { ofActive, type UnpackAccount, unpackAccount } from "./unpack-accounts.ts";
import { operationInHand } from "./worker-note.ts";

const worker = z.object({
  /** The job that it executes; null: none. */
  operation: z.string().nullable(),
  operationId: z.string().nullable(),
  sinceMs: z.number().nullable(),
  /** 95 % of these operations took less, since `up` has started; null: there were too few. */
  usuallyWithinMs: z.number().nullable(),
  /** It takes longer than that. */
  isSlow: z.boolean(),
});

const shape = z.object({
  atMs: z.number(),
  /** The pool's serial worker; null: it does not run, or nobody knows. */
  worker: worker.nullable(),
  /** Null: Redis does not answer, or no `up` runs. */
  unpacks: z.array(unpackAccount).nullable(),
  /** Within a day, the most frequent first; what fails because of what is there or not is left out. */
  failures: z.array(z.object({ operation: z.string(), code: z.string(), count: z.number() })),
});
export type Now = z.output<typeof shape>;

export const now = operation({ input: z.object({}), output: shape }, async (service: PoolService): Promise<Now> => {
  const { watch } = service;
  const asked = watch === undefined ? await askUp(service.config, "now", shape) : undefined;
  if (asked !== undefined && "answer" in asked) return asked.answer;
  const atMs = Date.now();
  const failures = failuresWithin(service, atMs);
  if (watch === undefined) return { atMs, worker: null, unpacks: null, failures };
  return { atMs, worker: workerNow(service, atMs), unpacks: await unpacksNow(service), failures };
});

function workerNow({ config, watch }: PoolService, atMs: number): Now["worker"] {
  if (watch?.isWorkerReady !== true) return null;
  const found = operationInHand(config);
  if (found === undefined) {
    return { operation: null, operationId: null, sinceMs: null, usuallyWithinMs: null, isSlow: false };
  }
  const usuallyWithinMs = watch.usuallyWithinMs(found.job) ?? null;
  const { job, operationId, sinceMs } = found;
  const isSlow = usuallyWithinMs !== null && atMs - sinceMs > usuallyWithinMs;
  return { operation: job, operationId, sinceMs, usuallyWithinMs, isSlow };
}

async function unpacksNow(service: PoolService): Promise<UnpackAccount[] | null> {
  try {
    const client = await service.client();
    return (await client.activeUnpacks()).map(ofActive);
  } catch {
    return null;
  }
}

function failuresWithin({ config }: PoolService, untilMs: number): Now["failures"] {
  using records = recordsIfReadable(config);
  if (records === undefined) return [];
  const ring = "day";
  const points = readHistory(records, { pool: config.pool, ring, afterMs: untilMs - spanMs(ring), untilMs });
  const together = points.reduce<Failures>((sum, { failures }) => addedUp(sum, failures), {});
  return Object.entries(together)
    .map(([name, count]) => {
      const [operationName = "", code = ""] = name.split(" ");
      return { operation: operationName, code, count };
    })
    .sort((one, other) => other.count - one.count);
}
