// Room: jobs. Owns the question whether anybody is there to execute a queue's jobs: who beats, and who listens for it.
import type { Redis } from "ioredis";
import type { JobQueue } from "../queues.ts";

/** A worker beats this often; one that has not for so long is taken for hung, or dead on another machine. */
export const beatEveryMs = 2_000;
export const beatLastsMs = 10_000;

/** Not longer ago than this is "the last time". */
const lastTimeMs = 2_000;

/** Where a queue's workers show that they are alive: see claim-guard.ts. */
export const beatKey = (queue: JobQueue): string => queue.toKey("beat");

/**
 * The asking side. A worker that dies is missed at once, since its connection goes with it; one that hangs, when its
 * last beat has faded. Looked at once only, a worker that has just lost its own connection would be missed, too: so
 * nobody is absent who was there the last time.
 */
export class WorkerLiveness {
  readonly #queue: JobQueue;
  readonly #connection: Redis;
  #missedMs = Number.NEGATIVE_INFINITY;

  constructor(queue: JobQueue, connection: Redis) {
    this.#queue = queue;
    this.#connection = connection;
  }

  /** Why nobody executes the queue's jobs, in words; undefined when somebody does. Throws what Redis throws. */
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
    if (isPaused) return "the pool's queue is paused (resume it in the dashboard)";
    if (workers === 0) return "the pool's worker is not there (snapmill is starting or stopping, or it has just died)";
    return beats === 0 ? "the pool's worker does not answer (it hangs, or its machine does)" : undefined;
  }
}
