// Room: workers. Owns the way of device removals from SQLite into the pool's queue, again and again until each is done.
import { redisUrl } from "../src/config.ts";
import { type RemovalEntry, RemovalPublisher } from "../src/jobs/outbox/removal-publisher.ts";
import { pendingRemovals } from "../src/metadata/pending-removals.ts";
import { databaseNumber } from "../src/metadata/pool.ts";
import type { OutboxOptions } from "./outbox.ts";
import { OutboxPace } from "./outbox-pace.ts";

export class PendingRemovals implements AsyncDisposable {
  readonly #options: OutboxOptions;
  readonly #pace = new OutboxPace();
  #publisher: RemovalPublisher | undefined;
  /** Also at start: what held a device may be gone since then. */
  #startsOver = true;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** The next `publish` has those tried again that were given up. */
  startOver(): void {
    this.#startsOver = true;
  }

  /** Adds pending removals to the queue that Redis does not have. Throws `unavailable` when Redis is away. */
  async publish(): Promise<void> {
    const { database, config } = this.#options;
    const all = pendingRemovals(database);
    if (all.length === 0 && !this.#startsOver) return;
    this.#publisher ??= await RemovalPublisher.connect({
      redisUrl: redisUrl(config),
      pool: config.pool,
      database: databaseNumber(database),
      attempts: config.removeAttempts,
    });
    const publisher = this.#publisher;
    const { entries, looked } = this.#pace.choose(all, (await publisher.mayHaveLost()) || this.#startsOver);
    if (this.#startsOver) await this.#startOver(publisher, entries);
    looked((await publisher.enqueue(entries)) > 0);
  }

  async #startOver(publisher: RemovalPublisher, entries: readonly RemovalEntry[]): Promise<void> {
    // What is asked for meanwhile is for the next round.
    this.#startsOver = false;
    try {
      const count = await publisher.startOver(entries);
      if (count > 0) this.#options.log.info({ count }, "removals of devices that were given up are tried again");
    } catch (error) {
      this.#startsOver = true;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#publisher?.[Symbol.asyncDispose]();
  }
}
