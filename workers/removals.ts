// Room: workers. Owns the way of device removals from SQLite into the pool's queue, again and again until each is done.
import type { Config } from "../src/config.ts";
import { redisUrl } from "../src/config.ts";
import { RemovalRelay } from "../src/jobs/removals.ts";
import type { Logger } from "../src/logger.ts";
import type { Database } from "../src/metadata/database.ts";
import { pendingRemovals } from "../src/metadata/removals.ts";

export interface RemovalsOptions {
  readonly database: Database;
  readonly config: Config;
  readonly log: Logger;
}

export class Removals implements AsyncDisposable {
  readonly #options: RemovalsOptions;
  #relay: RemovalRelay | undefined;
  /** Also at start: whatever held a device may be gone since then. */
  #startsOver = true;

  constructor(options: RemovalsOptions) {
    this.#options = options;
  }

  /** The next round has those tried again that were given up. */
  startOver(): void {
    this.#startsOver = true;
  }

  /** Adds every pending removal to the queue that Redis does not have. Throws `unavailable` when Redis is away. */
  async round(): Promise<void> {
    const { database, config, log } = this.#options;
    const entries = pendingRemovals(database);
    if (entries.length === 0 && !this.#startsOver) return;
    this.#relay ??= await RemovalRelay.connect({
      redisUrl: redisUrl(config),
      pool: config.pool,
      attempts: config.removeAttempts,
    });
    if (this.#startsOver) {
      const count = await this.#relay.startOver(entries);
      this.#startsOver = false;
      if (count > 0) log.info({ count }, "removals of devices that were given up are tried again");
    }
    await this.#relay.enqueue(entries);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay?.[Symbol.asyncDispose]();
  }
}
