// Room: workers. Owns the way of accepted unpacks from SQLite into the unpack queue, again and again until each is settled.
import { redisUrl } from "../src/config.ts";
import { isRetryable, isSnapmillError } from "../src/domain/errors.ts";
import { freshOperationId, type OperationId } from "../src/domain/identifiers.ts";
import { parsePayload, type RequestOf, type UnpackedImage } from "../src/jobs/contract.ts";
import { type OutboxEntry, type PublishedUnpack, UnpackPublisher } from "../src/jobs/outbox/unpack-publisher.ts";
import { cancelledRunning, itemOfOperation } from "../src/metadata/batch-items.ts";
import { pendingOutbox } from "../src/metadata/outbox.ts";
import { databaseNumber } from "../src/metadata/pool.ts";
import { unpackHold } from "../src/metadata/queue-holds.ts";
import type { OutboxOptions } from "./outbox.ts";
import { OutboxPace } from "./outbox-pace.ts";

export class PendingUnpacks implements AsyncDisposable {
  readonly #options: OutboxOptions;
  readonly #pace = new OutboxPace();
  #publisher: UnpackPublisher | undefined;
  /** Redis may have the queue as held, from this process or the one before. */
  #mayBeHeld = true;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** These were asked for, perhaps once more because Redis does not have them: the next `publish` looks at them. */
  accepted(unpacks: readonly { readonly operationId: OperationId }[]): void {
    this.#pace.forget(unpacks);
  }

  /** Has the queue held or not, as SQLite says, and adds accepted unpacks that Redis does not have. Throws `unavailable` when Redis is away. */
  async publish(): Promise<void> {
    const { database, config } = this.#options;
    const all = this.#pending();
    const cancelled = cancelledRunning(database);
    const isHeld = unpackHold(database) !== undefined;
    if (all.length === 0 && cancelled.length === 0 && !isHeld && !this.#mayBeHeld) return;
    this.#publisher ??= await UnpackPublisher.connect({
      redisUrl: redisUrl(config),
      pool: config.pool,
      database: databaseNumber(database),
    });
    // Before anything is queued: a Redis that was emptied has forgotten that the queue is held.
    await this.#publisher.setHeld(isHeld);
    this.#mayBeHeld = isHeld;
    const { entries, looked } = this.#pace.choose(all, await this.#publisher.mayHaveLost());
    const published = await this.#publisher.enqueueUnpacks(entries);
    let changes = 0;
    for (const entry of published) if (entry.state === "added" || (await this.#settleIfEnded(entry))) changes += 1;
    looked(changes > 0);
    for (const operationId of await this.#publisher.withoutWorker(cancelled)) {
      await this.#settle(operationId, { kind: "failed", reason: "cancelled, and lost before its worker had ended it" });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#publisher?.[Symbol.asyncDispose]();
  }

  /** An entry that cannot be read must not keep the others from being queued. */
  #pending(): OutboxEntry[] {
    const { database, log } = this.#options;
    return pendingOutbox(database, "unpack").flatMap(({ operationId, payload, traceparent }): OutboxEntry[] => {
      try {
        return [{ ...parsePayload("unpack", payload), traceparent }];
      } catch (error) {
        log.warn({ operationId, err: error }, "an entry of the outbox cannot be read, and is not queued");
        return [];
      }
    });
  }

  /** The worker that ended the job may have died before it settled it. */
  async #settleIfEnded(published: PublishedUnpack): Promise<boolean> {
    switch (published.state) {
      case "added":
      case "present":
        return false;
      case "completed":
        await this.#settleUnpacked(published.operationId, published.image);
        return true;
      case "failed":
        return await this.#settleFailed(published);
    }
  }

  /** Its snapshot may have been removed since. */
  async #settleUnpacked(operationId: OperationId, image: UnpackedImage): Promise<void> {
    try {
      await this.#settle(operationId, { kind: "unpacked", image });
    } catch (error) {
      if (!isSnapmillError(error, "not_found")) throw error;
      await this.#settle(operationId, { kind: "failed", code: error.code, reason: error.message });
    }
  }

  /** What may pass by itself stays, failed and visible, until it is retried or asked for again; a batch's item ends. */
  async #settleFailed({ operationId, failure }: PublishedUnpack & { readonly state: "failed" }): Promise<boolean> {
    const isOfBatch = itemOfOperation(this.#options.database, operationId) !== undefined;
    if (!isOfBatch && isRetryable(failure.code)) return false;
    await this.#settle(operationId, { kind: "failed", reason: failure.message, code: failure.code });
    return true;
  }

  async #settle(unpackOperationId: OperationId, outcome: RequestOf<"settle-unpack">["outcome"]): Promise<void> {
    await this.#options.snapshotter["settle-unpack"](freshOperationId(), { unpackOperationId, outcome });
  }
}
