// Room: workers. Owns the way of device removals from SQLite into the pool's queue, again and again until each is done.
import { redisUrl } from "../src/config.ts";
import type { DeviceName, OperationId } from "../src/domain/identifiers.ts";
import { RemovalPublisher } from "../src/jobs/outbox/removal-publisher.ts";
import { transactSoon } from "../src/metadata/database.ts";
import {
  forgetGivenUp,
  noteRemovalFailure,
  type RemovalRecord,
  removalRecords,
} from "../src/metadata/pending-removals.ts";
import { databaseNumber } from "../src/metadata/pool.ts";
import type { OutboxOptions } from "./outbox.ts";
import { OutboxPace } from "./outbox-pace.ts";

export class PendingRemovals implements AsyncDisposable {
  readonly #options: OutboxOptions;
  readonly #pace = new OutboxPace();
  #publisher: RemovalPublisher | undefined;
  /** Also at start: what held a device may be gone since then. */
  #startsOver = true;
  /** Removals whose jobs are to be taken out of the queue; those that are not discarded are then added anew. */
  #outdated = new Set<DeviceName>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** The next `publish` has those tried again that were given up. */
  startOver(): void {
    this.#startsOver = true;
  }

  /** The next `publish` has these tried at once, as often as at first. */
  retry(devices: readonly DeviceName[]): void {
    for (const device of devices) this.#outdated.add(device);
  }

  /** The next `publish` takes the jobs of these, which were discarded, out of the queue. */
  forget(devices: readonly DeviceName[]): void {
    this.retry(devices);
  }

  /** Adds pending removals to the queue that Redis does not have. Throws `unavailable` when Redis is away. */
  async publish(): Promise<void> {
    const { database, config } = this.#options;
    const isUrgent = this.#startsOver || this.#outdated.size > 0;
    const all = removalRecords(database);
    if (all.length === 0 && !isUrgent) return;
    this.#publisher ??= await RemovalPublisher.connect({
      redisUrl: redisUrl(config),
      pool: config.pool,
      database: databaseNumber(database),
      attempts: config.removeAttempts,
    });
    const publisher = this.#publisher;
    if (this.#startsOver) await this.#startOver(publisher, all);
    if (this.#outdated.size > 0) await this.#takeOut(publisher, all);
    // What was given up is left alone, also where Redis has lost its job.
    const tried = removalRecords(database).filter(
      ({ givenUpAtMs, discardedAtMs }) => (givenUpAtMs ?? discardedAtMs) === null,
    );
    const { entries, looked } = this.#pace.choose(tried, (await publisher.mayHaveLost()) || isUrgent);
    const { added, failed } = await publisher.enqueue(entries);
    for (const { operationId, reason, failedAtMs } of failed) this.#noteGivenUp(operationId, reason, failedAtMs);
    looked(added > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#publisher?.[Symbol.asyncDispose]();
  }

  async #startOver(publisher: RemovalPublisher, all: readonly RemovalRecord[]): Promise<void> {
    const { database, log } = this.#options;
    // What is asked for meanwhile is for the next round.
    this.#startsOver = false;
    try {
      const [tried, discarded] = [all.filter(isTried), all.filter((record) => !isTried(record))];
      // First: a removal that is tried again may be given up again at once.
      const count = transactSoon(database, () => forgetGivenUp(database));
      await publisher.takeOut(discarded);
      await publisher.startOver(tried);
      if (count > 0) log.info({ count }, "removals of devices that were given up are tried again");
    } catch (error) {
      this.#startsOver = true;
      throw error;
    }
  }

  async #takeOut(publisher: RemovalPublisher, all: readonly RemovalRecord[]): Promise<void> {
    const outdated = this.#outdated;
    this.#outdated = new Set();
    const entries = all.filter(({ device }) => outdated.has(device));
    const put = (devices: Iterable<DeviceName>) => {
      for (const device of devices) this.#outdated.add(device);
    };
    try {
      // One that is being executed is being tried; if it is discarded, it is taken out in a later round.
      const left = await publisher.takeOut(entries);
      put(left.filter((record) => !isTried(record)).map(({ device }) => device));
    } catch (error) {
      put(outdated);
      throw error;
    }
  }

  /** Its worker died before it could write that down. */
  #noteGivenUp(operationId: OperationId, message: string, atMs: number): void {
    const { database } = this.#options;
    transactSoon(database, () => noteRemovalFailure(database, operationId, { message, atMs, nextTryAtMs: undefined }));
  }
}

const isTried = ({ discardedAtMs }: RemovalRecord): boolean => discardedAtMs === null;
