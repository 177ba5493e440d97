// Room: jobs. Owns what a queue holds: how many jobs in each state, and how long the oldest has waited; no job is loaded.
import type { Redis } from "ioredis";
import type { QueueKind } from "../../domain/queues.ts";
import type { JobQueue } from "../queues.ts";

export interface JobCounts {
  readonly waiting: number;
  readonly active: number;
  /** Failed and waiting for their next attempt. */
  readonly delayed: number;
  readonly completed: number;
  readonly failed: number;
}

export async function countJobs(queue: JobQueue): Promise<JobCounts> {
  const counts = await queue.getJobCounts("waiting", "prioritized", "active", "delayed", "completed", "failed");
  const of = (state: string): number => counts[state] ?? 0;
  const [waiting, active, delayed] = [of("waiting") + of("prioritized"), of("active"), of("delayed")];
  return { waiting, active, delayed, completed: of("completed"), failed: of("failed") };
}

/** The oldest jobs of a list are at its end, before a few that were put there to be the next. */
const lastOnes = 8;
/** Of the priorities that wait, the first so many are looked at. */
const maxPriorities = 16;
/** BullMQ's score of a job is its priority times this, and a number that counts up. */
const scoreOfPriority = 2 ** 32;

/**
 * The age in milliseconds of the oldest job that waits; 0: none does. The pool's worker takes jobs ahead of time, so those
 * that it has taken wait as well. Throws what Redis throws.
 */
export async function oldestWaitingMs(connection: Redis, queue: JobQueue, kind: QueueKind): Promise<number> {
  const lists = [queue.toKey("wait"), ...(kind === "pool" ? [queue.toKey("active")] : [])];
  const ends = await Promise.all(lists.map((list) => connection.lrange(list, -lastOnes, -1)));
  const ids = [...ends.flat(), ...(await firstOfPriorities(connection, queue))];
  const times = await Promise.all(ids.map((id) => connection.hget(queue.toKey(id), "timestamp")));
  const oldest = Math.min(...times.flatMap((time) => (Number(time) > 0 ? [Number(time)] : [])));
  return Number.isFinite(oldest) ? Math.max(0, Date.now() - oldest) : 0;
}

/** Of each priority that waits, the first job is the oldest. */
async function firstOfPriorities(connection: Redis, queue: JobQueue): Promise<string[]> {
  const key = queue.toKey("prioritized");
  const ids: string[] = [];
  let from = "-inf";
  while (ids.length < maxPriorities) {
    const [id, score] = await connection.zrange(key, from, "+inf", "BYSCORE", "LIMIT", 0, 1, "WITHSCORES");
    if (id === undefined) break;
    ids.push(id);
    from = String((Math.floor(Number(score) / scoreOfPriority) + 1) * scoreOfPriority);
  }
  return ids;
}
