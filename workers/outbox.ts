// Room: workers. Owns the way of accepted work from SQLite into the queues, again and again until each is settled.
import type { Config } from "../src/config.ts";
import { redisUrl } from "../src/config.ts";
import { isRetryable, isSnapmillError } from "../src/domain/errors.ts";
import { freshOperationId } from "../src/domain/identifiers.ts";
import { parsePayload } from "../src/jobs/contract.ts";
import { type OutboxEntry, type Relayed, UnpackRelay } from "../src/jobs/relay.ts";
import type { Logger } from "../src/logger.ts";
import type { Database } from "../src/metadata/database.ts";
import { pendingOutbox } from "../src/metadata/outbox.ts";
import type { UnpackOutcome } from "../src/snapshotter/settle-unpack.ts";
import type { Snapshotter } from "../src/snapshotter/snapshotter.ts";
import { Removals } from "./removals.ts";

/** How long an unpack that Redis has lost waits until it is queued again. */
const relayEveryMs = 2_000;

export interface OutboxOptions {
  readonly database: Database;
  readonly snapshotter: Snapshotter;
  readonly config: Config;
  readonly log: Logger;
}

/**
 * Adds every pending entry to its queue that Redis does not have: at once after an acceptance, and every two
 * seconds, so that a Redis that was emptied gets its work again.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #removals: Removals;
  #relay: UnpackRelay | undefined;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #isStopped = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#removals = new Removals(options);
  }

  start(): void {
    this.#timer = setInterval(() => this.relaySoon(), relayEveryMs);
    this.relaySoon();
  }

  /** Asks for a round; those that are asked for while one runs become one more. */
  relaySoon(): void {
    if (this.#isStopped) return;
    this.#isWanted = true;
    this.#running ??= this.#rounds().finally(() => {
      this.#running = undefined;
    });
  }

  /** Has removals of devices that were given up tried again. */
  retryRemovals(): void {
    this.#removals.startOver();
    this.relaySoon();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#running;
    await this.#relay?.[Symbol.asyncDispose]();
    await this.#removals[Symbol.asyncDispose]();
  }

  async #rounds(): Promise<void> {
    while (this.#isWanted) {
      this.#isWanted = false;
      try {
        await this.#round();
      } catch (error) {
        // Redis away: the next round is at most two seconds off, and nothing is lost meanwhile.
        if (!isSnapmillError(error, "unavailable"))
          this.#options.log.warn({ err: error }, "the outbox was not relayed");
      }
    }
  }

  async #round(): Promise<void> {
    await this.#removals.round();
    await this.#unpacks();
  }

  async #unpacks(): Promise<void> {
    const { database, config } = this.#options;
    const entries = pendingOutbox(database, "unpack").map(
      ({ payload }): OutboxEntry => parsePayload("unpack", payload),
    );
    if (entries.length === 0) return;
    this.#relay ??= await UnpackRelay.connect({ redisUrl: redisUrl(config), pool: config.pool });
    for (const relayed of await this.#relay.enqueueUnpacks(entries)) await this.#settleEnded(relayed);
  }

  /** The worker that ended the job may have died before it settled it. */
  async #settleEnded(relayed: Relayed): Promise<void> {
    switch (relayed.state) {
      case "added":
      case "present":
        return;
      case "completed":
        return await this.#settle(relayed.operationId, { kind: "unpacked", image: relayed.image });
      case "failed":
        // What may pass by itself stays, failed and visible, until somebody retries it or asks for it again.
        if (isRetryable(relayed.failure.code)) return;
        return await this.#settle(relayed.operationId, { kind: "failed", reason: relayed.failure.message });
    }
  }

  async #settle(unpackOperationId: Relayed["operationId"], outcome: UnpackOutcome): Promise<void> {
    await this.#options.snapshotter.settleUnpack(freshOperationId(), { unpackOperationId, outcome });
  }
}
