// Room: jobs. Owns the two queues of a pool: their names and keys, how long finished jobs are kept, how often one is tried.
import type { DefaultJobOptions, Job, Queue } from "bullmq";
import type { Redis } from "ioredis";
import { type Backoff, spreadPauseAfterMs } from "../domain/backoff.ts";
import type { PoolName } from "../domain/identifiers.ts";
import type { QueueKind } from "../domain/queues.ts";
import { asRedisFailure } from "./redis/failures.ts";
import { StoredJobQueue } from "./stored-job.ts";

/** Queues, as BullMQ and the dashboard know them; a name cannot contain `:`. */
export type JobQueue = Queue<object, unknown, string>;
export type QueuedJob = Job<object, unknown, string>;

export const queueName = (pool: PoolName, kind: QueueKind): string => `${pool}.${kind}`;

/** All keys of one pool carry one hash tag: in a Redis Cluster they lie on one node, as BullMQ's scripts need. */
export const keyPrefix = (pool: PoolName): string => `{snapmill:${pool}}`;

/**
 * Results are kept long enough for every waiter to fetch its own, and for a caller to ask again; failures for days, to be
 * looked at. (With a count of 0, results are gone before their waiters have seen them.) Ages are seconds.
 */
export const retention = {
  removeOnComplete: { count: 5_000, age: 24 * 3600 },
  removeOnFail: { count: 5_000, age: 7 * 24 * 3600 },
} as const;

/** How often a job with a retryable failure is run in all, and the pauses between: doubled each time, up to a cap. */
const patience = {
  pool: { attempts: 6, firstMs: 100, capMs: 5_000 },
  unpack: { attempts: 8, firstMs: 500, capMs: 30_000 },
} as const;

/** A device's removal waits until the device is no longer used: its 130 attempts (the default) take an hour. */
export const defaultRemovalPauses: Backoff = { firstMs: 200, capMs: 39_000 };

/** How long a silent worker keeps a job. */
export const lockDurationMs = 3_000;

/** How often a job may lose its worker before it counts as one that kills workers. */
export const maxStalls = 100;

/** The pause after the `attemptsMade`th attempt: half of it fixed, half of it chance, so that retries spread out. */
export const backoffMs = (kind: QueueKind, attemptsMade: number): number =>
  Math.round(spreadPauseAfterMs(patience[kind], attemptsMade));

/** The same for a device's removal. Here the chance is in the ID, so that the time of the next attempt can be told. */
export function removalPauseMs(pauses: Backoff, operationId: string, attemptsMade: number): number {
  const chance = Bun.hash.crc32(`${operationId}/${attemptsMade}`) / 2 ** 32;
  return Math.round(spreadPauseAfterMs(pauses, attemptsMade, chance));
}

const jobOptions = (kind: QueueKind): DefaultJobOptions => ({
  ...retention,
  attempts: patience[kind].attempts,
  backoff: { type: "custom" },
  stackTraceLimit: 5,
  keepLogs: 1_000,
});

/** One of a pool's queues. A Redis that is away is `unavailable`, as soon as `connection` gives up on it. */
export async function openQueue(connection: Redis, pool: PoolName, kind: QueueKind): Promise<JobQueue> {
  try {
    // Asked first: BullMQ's queue would wait for Redis, and be of no use ever after if its first look at it failed.
    await connection.ping();
    const queue: JobQueue = new StoredJobQueue(queueName(pool, kind), {
      connection,
      prefix: keyPrefix(pool),
      defaultJobOptions: jobOptions(kind),
    });
    // Commands fail with their errors; this is for BullMQ's own checks, whose failure would be unhandled.
    queue.on("error", () => undefined);
    await queue.waitUntilReady();
    return queue;
  } catch (error) {
    throw asRedisFailure(error);
  }
}
