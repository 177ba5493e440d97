// Room: workers. Owns the outbox at work: what was accepted goes from SQLite into the queues, each kind by itself.
import type { Config } from "../src/config.ts";
import type { DeviceName, OperationId } from "../src/domain/identifiers.ts";
import type { Logger } from "../src/logger.ts";
import type { Database } from "../src/metadata/database.ts";
import type { Snapshotter } from "../src/snapshotter/snapshotter.ts";
import { PendingRemovals } from "./publish-removals.ts";
import { PendingUnpacks } from "./publish-unpacks.ts";
import { Rounds } from "./rounds.ts";

export interface OutboxOptions {
  readonly database: Database;
  readonly snapshotter: Snapshotter;
  readonly config: Config;
  readonly log: Logger;
}

/**
 * The one producer of the jobs that the outbox holds: it adds each entry to its queue at once after its acceptance, and
 * again within two seconds when Redis was emptied or restarted. No kind of entry waits for another.
 */
export class Outbox {
  readonly #unpacks: PendingUnpacks;
  readonly #removals: PendingRemovals;
  readonly #unpackRounds: Rounds;
  readonly #removalRounds: Rounds;

  constructor(options: OutboxOptions) {
    this.#unpacks = new PendingUnpacks(options);
    this.#removals = new PendingRemovals(options);
    this.#unpackRounds = new Rounds("accepted unpacks", () => this.#unpacks.publish(), options.log);
    this.#removalRounds = new Rounds("removals of devices", () => this.#removals.publish(), options.log);
  }

  start(): void {
    this.#unpackRounds.start();
    this.#removalRounds.start();
  }

  /** Has unpacks queued that were just written down, or that their caller misses in Redis. */
  accepted(unpacks: readonly { readonly operationId: OperationId }[]): void {
    this.#unpacks.accepted(unpacks);
    this.#unpackRounds.wake();
  }

  /** Has the next items of a batch queued that were just written down. */
  unpacksWritten(): void {
    this.#unpackRounds.wake();
  }

  /** Has the unpack queue paused or resumed, as was just written down. */
  holdChanged(): void {
    this.#unpackRounds.wake();
  }

  /** Has removals queued that were just written down. */
  removalsWritten(): void {
    this.#removalRounds.wake();
  }

  /** Has all removals of devices that were given up tried again. */
  startRemovalsOver(): void {
    this.#removals.startOver();
    this.#removalRounds.wake();
  }

  /** Has the removals of these devices tried at once. */
  retryRemovals(devices: readonly DeviceName[]): void {
    this.#removals.retry(devices);
    this.#removalRounds.wake();
  }

  /** Takes the jobs of removals that were discarded out of the queue. */
  forgetRemovals(devices: readonly DeviceName[]): void {
    this.#removals.forget(devices);
    this.#removalRounds.wake();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#unpackRounds.stop(), this.#removalRounds.stop()]);
    await Promise.all([this.#unpacks[Symbol.asyncDispose](), this.#removals[Symbol.asyncDispose]()]);
  }
}
