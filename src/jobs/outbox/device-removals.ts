// Room: jobs. Owns the way of device removals into the pool's queue, and what becomes of those that were given up.
import type { Redis } from "ioredis";
import type { DeviceName, OperationId, PoolName } from "../../domain/identifiers.ts";
import { isSameDatabase } from "../claims/addressee.ts";
import { type Payload, parsePayload } from "../contract.ts";
import { type JobQueue, openQueue } from "../queues.ts";
import { answering, answerTimeoutMs, producerConnection } from "../redis/connection.ts";
import { asRedisFailure } from "../redis/failures.ts";
import { RedisMemory } from "../redis/memory.ts";
import { failedJobs } from "../requests/failed-jobs.ts";
import { jobState } from "../requests/job-state.ts";
import { Submissions, withoutJob } from "../requests/submissions.ts";

/** A removal as the outbox holds it. */
export interface RemovalEntry {
  readonly operationId: OperationId;
  readonly device: DeviceName;
}

/** A removal whose every attempt has failed. */
export interface FailedRemoval extends RemovalEntry {
  /** Why the last one failed. */
  readonly reason: string;
  readonly failedAtMs: number;
}

export interface RemovalPublisherOptions {
  readonly redisUrl: string;
  readonly pool: PoolName;
  /** The number of the database whose outbox it is. */
  readonly database: number;
  /** How often each removal is tried. */
  readonly attempts: number;
}

/** Puts removals into a pool's queue. Its methods throw `unavailable` within about a second when Redis is away. */
export class RemovalPublisher implements AsyncDisposable {
  readonly #connection: Redis;
  readonly #queue: JobQueue;
  readonly #submissions: Submissions;
  readonly #memory: RedisMemory;
  readonly #options: RemovalPublisherOptions;

  private constructor(connection: Redis, queue: JobQueue, options: RemovalPublisherOptions) {
    this.#connection = connection;
    this.#queue = queue;
    this.#submissions = new Submissions(connection, queue);
    this.#memory = new RedisMemory(connection, queue);
    this.#options = options;
  }

  static async connect(options: RemovalPublisherOptions): Promise<RemovalPublisher> {
    const { redisUrl, pool } = options;
    const connection = await answering(producerConnection(redisUrl), redisUrl, 1.5 * answerTimeoutMs);
    try {
      return new RemovalPublisher(connection, await openQueue(connection, pool, "pool"), options);
    } catch (error) {
      connection.disconnect();
      throw asRedisFailure(error);
    }
  }

  /** Adds every removal that Redis does not have, and returns how many; one that was given up stays so. */
  async enqueue(entries: readonly RemovalEntry[]): Promise<number> {
    const { pool, database, attempts } = this.#options;
    try {
      const missing = await withoutJob(this.#connection, this.#queue, entries);
      const added = missing.map(({ operationId, device }) => {
        const payload = parsePayload("remove-device", { pool, operationId, device });
        return this.#submissions.add({
          name: "remove-device",
          operationId,
          payload,
          database,
          isFresh: true,
          attempts,
        });
      });
      await Promise.all(added);
      return missing.length;
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  /**
   * Begins anew: removals that were given up are tried again, `attempts` times; one of `entries` that Redis takes for
   * done (the database was restored from a backup) is forgotten there. Returns how many had been given up.
   */
  async startOver(entries: readonly RemovalEntry[]): Promise<number> {
    try {
      const standings = await Promise.all(entries.map(({ operationId }) => jobState(this.#queue, operationId)));
      const done = entries.filter((_entry, index) => standings[index]?.state === "completed");
      await Promise.all(done.map(({ operationId }) => this.#queue.remove(operationId)));
      const failed = await failedRemovals(this.#connection, this.#queue, this.#options.database);
      await Promise.all(failed.map((removal) => retry(this.#queue, removal)));
      return failed.length;
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close().catch(() => undefined);
    this.#connection.disconnect();
  }

  /** Whether Redis may have lost jobs since this was asked last. */
  async mayHaveLost(): Promise<boolean> {
    try {
      return await this.#memory.mayHaveLost();
    } catch (error) {
      throw asRedisFailure(error);
    }
  }
}

/** The removals of a pool's queue that were given up, the latest first: those of `database`, or all. */
export async function failedRemovals(
  connection: Redis,
  queue: JobQueue,
  database: number | undefined,
): Promise<FailedRemoval[]> {
  const failed = await failedJobs(connection, queue, "remove-device");
  return failed.flatMap((job): FailedRemoval[] => {
    if (job.kind === "damaged" || !isSameDatabase(job.database, database)) return [];
    const { device } = job.payload as Payload<"remove-device">;
    return [{ operationId: job.operationId, device, reason: job.failure.message, failedAtMs: job.failedAtMs }];
  });
}

async function retry(queue: JobQueue, { operationId }: FailedRemoval): Promise<void> {
  try {
    const job = await queue.getJob(operationId);
    await job?.retry("failed", { resetAttemptsMade: true, resetAttemptsStarted: true });
  } catch (error) {
    // Another was faster, and the job has left the failed ones: it is on its way.
    if (asRedisFailure(error).code === "unavailable") throw error;
  }
}
