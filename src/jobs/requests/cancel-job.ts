// Room: jobs. Owns what becomes of a job whose caller has gone: it is taken back, or followed to its end.
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { type Backoff, pauseAfterMs } from "../../domain/backoff.ts";
import type { OperationId } from "../../domain/identifiers.ts";
import type { JobQueue } from "../queues.ts";
import { jobState } from "./job-state.ts";

/** Between looks at a job that was left: ever longer, since many may be left at once. */
const backoff: Backoff = { firstMs: 100, capMs: 1_000 };

/**
 * Takes a job back unless it is being executed or has ended; whether nothing will happen. Idempotent. Throws what Redis
 * throws.
 */
export async function cancelJob(connection: Redis, queue: JobQueue, operationId: OperationId): Promise<boolean> {
  // Out of the lists first, each by one atomic command: `remove` alone would also forget a finished one. A delayed one
  // was tried, and nothing came of it. One in no list never arrived, or was taken out by a command whose answer was late.
  const isOut =
    (await connection.lrem(queue.toKey("wait"), 0, operationId)) > 0 ||
    (await connection.lrem(queue.toKey("paused"), 0, operationId)) > 0 ||
    (await connection.zrem(queue.toKey("prioritized"), operationId)) > 0 ||
    (await connection.zrem(queue.toKey("delayed"), operationId)) > 0 ||
    (await queue.getJobState(operationId)) === "unknown";
  if (isOut) await queue.remove(operationId);
  return isOut;
}

/** Resolves when a job has ended, or could be taken back after all, or `isOver`. Never rejects. */
export async function followToItsEnd(
  connection: Redis,
  queue: JobQueue,
  operationId: OperationId,
  isOver: () => boolean,
): Promise<void> {
  for (let looks = 1; !isOver(); looks += 1) {
    try {
      if (await cancelJob(connection, queue, operationId)) return;
      if ((await jobState(queue, operationId)).state !== "pending") return;
    } catch {
      // Redis is away: the job happens, or not, when it is back.
    }
    await delay(pauseAfterMs(backoff, looks), undefined, { ref: false });
  }
}
