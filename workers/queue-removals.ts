// Room: workers. Owns the way of device removals from SQLite into the pool's queue, again and again until each is done.
import type { Config } from "../src/config.ts";
import { redisUrl } from "../src/config.ts";
import { RemovalPublisher } from "../src/jobs/outbox/device-removals.ts";
import type { Logger } from "../src/logger.ts";
import type { Database } from "../src/metadata/database.ts";
import { pendingRemovals } from "../src/metadata/pending-removals.ts";
import { databaseNumber } from "./claim-holder.ts";
import { RelayPace } from "./outbox-pace.ts";

export interface RemovalsOptions {
  readonly database: Database;
  readonly config: Config;
  readonly log: Logger;
}

export class Removals implements AsyncDisposable {
  readonly #options: RemovalsOptions;
  readonly #pace = new RelayPace();
  #relay: RemovalPublisher | undefined;
  /** Also at start: whatever held a device may be gone since then. */
  #startsOver = true;

  constructor(options: RemovalsOptions) {
    this.#options = options;
  }

  /** The next round has those tried again that were given up. */
  startOver(): void {
    this.#startsOver = true;
  }

  /** Adds pending removals to the queue that Redis does not have. Throws `unavailable` when Redis is away. */
  async round(): Promise<void> {
    const { database, config, log } = this.#options;
    const all = pendingRemovals(database);
    if (all.length === 0 && !this.#startsOver) return;
    this.#relay ??= await RemovalPublisher.connect({
      redisUrl: redisUrl(config),
      pool: config.pool,
      database: databaseNumber(database),
      attempts: config.removeAttempts,
    });
    const relay = this.#relay;
    const { entries, looked } = this.#pace.choose(all, (await relay.mayHaveLost()) || this.#startsOver);
    if (this.#startsOver) {
      const count = await relay.startOver(entries);
      this.#startsOver = false;
      if (count > 0) log.info({ count }, "removals of devices that were given up are tried again");
    }
    looked((await relay.enqueue(entries)) > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay?.[Symbol.asyncDispose]();
  }
}
