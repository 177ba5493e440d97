// Room: jobs. Owns the way of accepted unpacks from the pool's outbox into the unpack queue.
import type { SnapmillError } from "../../domain/errors.ts";
import type { OperationId } from "../../domain/identifiers.ts";
import { isMisaddressed } from "../claims/addressee.ts";
import { parsePayload, parseResult, type UnpackedImage, type UnpackRequest } from "../contract.ts";
import { jobState } from "../requests/job-state.ts";
import { inBatches, withoutJob } from "../requests/submissions.ts";
import { connectQueue, type OpenedQueue, Publisher, type PublisherOptions } from "./publisher.ts";

/** An unpack as the outbox holds it. */
export interface OutboxEntry extends UnpackRequest {
  readonly operationId: OperationId;
  /** The trace that it is part of, if any. */
  readonly traceparent?: string | undefined;
}

/** What the unpack queue has of an entry: `present` waits, runs, or is between attempts; an ended one is not run again. */
export type PublishedUnpack = { readonly operationId: OperationId } & (
  | { readonly state: "added" | "present" }
  | { readonly state: "completed"; readonly image: UnpackedImage }
  | { readonly state: "failed"; readonly failure: SnapmillError }
);

/** Puts unpacks into a pool's unpack queue. */
export class UnpackPublisher extends Publisher {
  readonly #options: PublisherOptions;

  private constructor(opened: OpenedQueue, options: PublisherOptions) {
    super(opened);
    this.#options = options;
  }

  static async connect(options: PublisherOptions): Promise<UnpackPublisher> {
    return new UnpackPublisher(await connectQueue(options, "unpack"), options);
  }

  /** Adds every entry that Redis does not have, and tells how each stands, in the order given. */
  enqueueUnpacks(entries: readonly OutboxEntry[]): Promise<PublishedUnpack[]> {
    return this.asking(async () => {
      const missing = await withoutJob(this.connection, this.queue, entries);
      await Promise.all(missing.map((entry) => this.#add(entry)));
      const added = new Set(missing);
      return await inBatches(entries, (entry) => this.#published(entry, added.has(entry)));
    });
  }

  /**
   * Has the queue paused, or ends the pause that this has made: a mark beside it tells it from one that was made in the
   * dashboard, which stays.
   */
  setHeld(isHeld: boolean): Promise<void> {
    const mark = this.queue.toKey("held");
    return this.asking(async () => {
      if (isHeld) {
        if (await this.queue.isPaused()) return;
        await this.connection.set(mark, "1");
        await this.queue.pause();
      } else if ((await this.connection.exists(mark)) === 1) {
        await this.queue.resume();
        await this.connection.del(mark);
      }
    });
  }

  /** Those of these unpacks that no worker has or will have: Redis has lost their jobs, or they have ended. */
  withoutWorker(operationIds: readonly OperationId[]): Promise<OperationId[]> {
    return this.asking(async () => {
      const states = await inBatches(operationIds, (operationId) => jobState(this.queue, operationId));
      return operationIds.filter((_, index) => states[index]?.state !== "pending");
    });
  }

  async #add({ operationId, traceparent: trace, ...request }: OutboxEntry): Promise<void> {
    const { pool, database } = this.#options;
    const payload = parsePayload("unpack", { ...request, pool, operationId });
    const { priority, attempts } = request.batch ?? {};
    const submission = { name: "unpack", operationId, payload, database, isFresh: true, priority, attempts } as const;
    await this.submissions.add({ ...submission, trace });
  }

  async #published(entry: OutboxEntry, wasAdded: boolean): Promise<PublishedUnpack> {
    const { operationId } = entry;
    if (wasAdded) return { operationId, state: "added" };
    const kept = await jobState(this.queue, operationId);
    if (kept.state === "failed" && isMisaddressed(kept.failure)) {
      // It came to a database that had the pool's name for a while: nothing is known of it yet.
      await this.queue.remove(operationId);
      await this.#add(entry);
      return { operationId, state: "added" };
    }
    switch (kept.state) {
      case "completed":
        return (await this.#completed(entry, kept.result)) ?? { operationId, state: "added" };
      case "failed":
        return { operationId, state: "failed", failure: kept.failure };
      case "pending":
      case "lost":
        return { operationId, state: "present" };
    }
  }

  /** A result that is none says nothing of the image: the job is run again, which finds the layers that are there. */
  async #completed(entry: OutboxEntry, result: unknown): Promise<PublishedUnpack | undefined> {
    try {
      return { operationId: entry.operationId, state: "completed", image: parseResult("unpack", result) };
    } catch {
      await this.queue.remove(entry.operationId);
      await this.#add(entry);
      return undefined;
    }
  }
}
