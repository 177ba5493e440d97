// Room: jobs. Owns the way of device removals into the pool's queue, and what becomes of those that were given up.
import type { Redis } from "ioredis";
import type { DeviceName, OperationId } from "../../domain/identifiers.ts";
import { isSameDatabase } from "../claims/addressee.ts";
import { type Payload, parsePayload } from "../contract.ts";
import type { JobQueue } from "../queues.ts";
import { failedJobs, retryFailedJob } from "../requests/failed-jobs.ts";
import { jobState } from "../requests/job-state.ts";
import { inBatches, withoutJob } from "../requests/submissions.ts";
import { connectQueue, type OpenedQueue, Publisher, type PublisherOptions } from "./publisher.ts";

/** A removal as the outbox holds it. */
export interface RemovalEntry {
  readonly operationId: OperationId;
  readonly device: DeviceName;
  /** The trace that it is part of, if any. */
  readonly traceparent?: string | undefined;
}

/** A removal whose every attempt has failed. */
export interface FailedRemoval extends RemovalEntry {
  /** Why the last one failed. */
  readonly reason: string;
  readonly failedAtMs: number;
}

export interface RemovalPublisherOptions extends PublisherOptions {
  /** How often each removal is tried. */
  readonly attempts: number;
}

/** Puts removals into a pool's queue. */
export class RemovalPublisher extends Publisher {
  readonly #options: RemovalPublisherOptions;

  private constructor(opened: OpenedQueue, options: RemovalPublisherOptions) {
    super(opened);
    this.#options = options;
  }

  static async connect(options: RemovalPublisherOptions): Promise<RemovalPublisher> {
    return new RemovalPublisher(await connectQueue(options, "pool"), options);
  }

  /** Adds every removal that Redis does not have; returns how many, and those that have failed for the last time. */
  enqueue(
    entries: readonly RemovalEntry[],
  ): Promise<{ readonly added: number; readonly failed: readonly FailedRemoval[] }> {
    const { pool, database, attempts } = this.#options;
    return this.asking(async () => {
      const missing = new Set(await withoutJob(this.connection, this.queue, entries));
      const kept = entries.filter((entry) => !missing.has(entry));
      const added = [...missing].map(({ operationId, device, traceparent: trace }) => {
        const name = "remove-device";
        const payload = parsePayload(name, { pool, operationId, device });
        return this.submissions.add({ name, operationId, payload, database, isFresh: true, attempts, trace });
      });
      await Promise.all(added);
      return { added: missing.size, failed: await this.#failedOf(kept) };
    });
  }

  /** Takes the jobs of these removals out of the queue, however they stand; returns those that are being executed. */
  takeOut<E extends RemovalEntry>(entries: readonly E[]): Promise<readonly E[]> {
    return this.asking(async () => {
      const left = await inBatches(entries, async ({ operationId }) => {
        await this.queue.remove(operationId);
        return (await this.queue.getJobState(operationId)) === "active";
      });
      return entries.filter((_entry, index) => left[index]);
    });
  }

  async #failedOf(entries: readonly RemovalEntry[]): Promise<FailedRemoval[]> {
    const states = await inBatches(entries, ({ operationId }) => jobState(this.queue, operationId));
    return entries.flatMap((entry, index) => {
      const found = states[index];
      return found?.state === "failed" ? [{ ...entry, reason: found.failure.message, failedAtMs: Date.now() }] : [];
    });
  }

  /**
   * Begins anew: removals that were given up are tried again, `attempts` times; one of `entries` that Redis takes for
   * done (the database was restored from a backup) is forgotten there. Returns how many had been given up.
   */
  startOver(entries: readonly RemovalEntry[]): Promise<number> {
    return this.asking(async () => {
      const states = await inBatches(entries, ({ operationId }) => jobState(this.queue, operationId));
      const done = entries.filter((_entry, index) => states[index]?.state === "completed");
      await Promise.all(done.map(({ operationId }) => this.queue.remove(operationId)));
      const failed = await failedRemovals(this.connection, this.queue, this.#options.database);
      await Promise.all(failed.map((removal) => retryFailedJob(this.queue, removal.operationId)));
      return failed.length;
    });
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
