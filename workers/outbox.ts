// Room: workers. Owns the way of accepted work from SQLite into the queues, again and again until each is settled.
import type { Config } from "../src/config.ts";
import { redisUrl } from "../src/config.ts";
import { isRetryable, isSnapmillError } from "../src/domain/errors.ts";
import { freshOperationId } from "../src/domain/identifiers.ts";
import { parsePayload } from "../src/jobs/contract.ts";
import { type OutboxEntry, type Relayed, UnpackPublisher } from "../src/jobs/outbox/publisher.ts";
import type { Logger } from "../src/logger.ts";
import type { Database } from "../src/metadata/database.ts";
import { pendingOutbox } from "../src/metadata/outbox.ts";
import type { UnpackOutcome } from "../src/snapshotter/settle-unpack.ts";
import type { Snapshotter } from "../src/snapshotter/snapshotter.ts";
import { databaseNumber } from "./claim-holder.ts";
import { RelayPace } from "./outbox-pace.ts";
import { Removals } from "./queue-removals.ts";

/** How long an unpack that Redis has lost waits until it is queued again. */
const relayEveryMs = 2_000;
/** Between rounds that fail for another reason than an absent Redis. */
const longestPauseMs = 60_000;

export interface OutboxOptions {
  readonly database: Database;
  readonly snapshotter: Snapshotter;
  readonly config: Config;
  readonly log: Logger;
}

/**
 * Adds every pending entry to its queue that Redis does not have: at once after an acceptance, and within two seconds
 * when Redis was emptied or restarted.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #removals: Removals;
  readonly #pace = new RelayPace();
  #relay: UnpackPublisher | undefined;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #failures = 0;
  #notBeforeMs = 0;
  #isStopped = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#removals = new Removals(options);
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (performance.now() >= this.#notBeforeMs) this.relaySoon();
    }, relayEveryMs);
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
        this.#failures = 0;
      } catch (error) {
        // Redis away: the next round is at most two seconds off, and nothing is lost meanwhile.
        if (isSnapmillError(error, "unavailable")) continue;
        this.#failures += 1;
        this.#notBeforeMs = performance.now() + Math.min(relayEveryMs * 2 ** this.#failures, longestPauseMs);
        this.#options.log.warn({ err: error, failures: this.#failures }, "the outbox was not relayed");
      }
    }
  }

  async #round(): Promise<void> {
    await this.#removals.round();
    await this.#unpacks();
  }

  async #unpacks(): Promise<void> {
    const { database, config } = this.#options;
    const all = this.#pendingUnpacks();
    if (all.length === 0) return;
    this.#relay ??= await UnpackPublisher.connect({
      redisUrl: redisUrl(config),
      pool: config.pool,
      database: databaseNumber(database),
    });
    const { entries, looked } = this.#pace.choose(all, await this.#relay.mayHaveLost());
    const relayed = await this.#relay.enqueueUnpacks(entries);
    let changes = 0;
    for (const entry of relayed) if (entry.state === "added" || (await this.#settleIfEnded(entry))) changes += 1;
    looked(changes > 0);
  }

  /** An entry that cannot be read must not keep the others from being queued. */
  #pendingUnpacks(): OutboxEntry[] {
    const { database, log } = this.#options;
    return pendingOutbox(database, "unpack").flatMap(({ operationId, payload }): OutboxEntry[] => {
      try {
        return [parsePayload("unpack", payload)];
      } catch (error) {
        log.warn({ operationId, err: error }, "an entry of the outbox cannot be read, and is not queued");
        return [];
      }
    });
  }

  /** The worker that ended the job may have died before it settled it. */
  async #settleIfEnded(relayed: Relayed): Promise<boolean> {
    switch (relayed.state) {
      case "added":
      case "present":
        return false;
      case "completed":
        await this.#settle(relayed.operationId, { kind: "unpacked", image: relayed.image });
        return true;
      case "failed":
        // What may pass by itself stays, failed and visible, until it is retried or asked for again.
        if (isRetryable(relayed.failure.code)) return false;
        await this.#settle(relayed.operationId, { kind: "failed", reason: relayed.failure.message });
        return true;
    }
  }

  async #settle(unpackOperationId: Relayed["operationId"], outcome: UnpackOutcome): Promise<void> {
    await this.#options.snapshotter.settleUnpack(freshOperationId(), { unpackOperationId, outcome });
  }
}
