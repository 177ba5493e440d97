// Room: jobs. Owns the liveness of a queue's workers: their heartbeat, and the check for it.
import type { Redis } from "ioredis";
import type { JobQueue } from "../queues.ts";

/** A worker beats this often; without a beat for `beatLastsMs` it counts as hung, or dead on another machine. */
export const beatEveryMs = 2_000;
export const beatLastsMs = 10_000;

/** A check longer ago than this is not "the previous one". */
const lastTimeMs = 2_000;

/** The key that a queue's workers refresh: see claim-guard.ts. */
export const beatKey = (queue: JobQueue): string => queue.toKey("beat");

/**
 * The checking side. A worker that dies is noticed at once, since its connection goes with it; one that hangs, when its
 * last beat has expired. A worker that has just lost its connection and reconnects is not absent: it takes two checks in
 * a row that find none.
 */
export class WorkerLiveness {
  readonly #queue: JobQueue;
  readonly #connection: Redis;
  #missedMs = Number.NEGATIVE_INFINITY;

  constructor(queue: JobQueue, connection: Redis) {
    this.#queue = queue;
    this.#connection = connection;
  }

  /** Why the queue's jobs are not executed, in words; undefined when they are. Throws what Redis throws. */
  async absence(): Promise<string | undefined> {
    const reason = await this.#look();
    const nowMs = performance.now();
    const wasMissed = nowMs - this.#missedMs < lastTimeMs;
    this.#missedMs = reason === undefined ? Number.NEGATIVE_INFINITY : nowMs;
    return wasMissed ? reason : undefined;
  }

  async #look(): Promise<string | undefined> {
    const [isPaused, workers, beats] = await Promise.all([
      this.#queue.isPaused(),
      this.#queue.getWorkersCount(),
      this.#connection.exists(beatKey(this.#queue)),
    ]);
    if (isPaused) return "the pool's queue is paused ('snapmill resume' ends that)";
    if (workers === 0) return "the pool's worker is not there (snapmill is starting or stopping, or it has just died)";
    return beats === 0 ? "the pool's worker does not answer (it hangs, or its machine does)" : undefined;
  }
}
