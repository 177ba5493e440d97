// Room: jobs. Owns the way from the pool's outbox into the unpack queue, and the queues as the dashboard wants them.
import type { Redis } from "ioredis";
import type { SnapmillError } from "../../domain/errors.ts";
import type { OperationId, PoolName } from "../../domain/identifiers.ts";
import { isMisaddressed } from "../claims/addressee.ts";
import { parsePayload, parseResult, type UnpackedImage, type UnpackRequest } from "../contract.ts";
import { type JobQueue, openQueue } from "../queues.ts";
import { answering, answerTimeoutMs, producerConnection } from "../redis/connection.ts";
import { asRedisFailure } from "../redis/failures.ts";
import { RedisMemory } from "../redis/memory.ts";
import { jobState } from "../requests/job-state.ts";
import { Submissions, withoutJob } from "../requests/submissions.ts";

/** An unpack as the outbox holds it. */
export interface OutboxEntry extends UnpackRequest {
  readonly operationId: OperationId;
}

/** What the unpack queue has of an entry: `present` waits, runs, or is between attempts; an ended one is not run again. */
export type PublishedUnpack = { readonly operationId: OperationId } & (
  | { readonly state: "added" | "present" }
  | { readonly state: "completed"; readonly image: UnpackedImage }
  | { readonly state: "failed"; readonly failure: SnapmillError }
);

export interface PublisherOptions {
  readonly redisUrl: string;
  readonly pool: PoolName;
  /** The number of the database whose outbox it is. */
  readonly database: number;
}

/** Puts unpacks into a pool's unpack queue. Its methods throw `unavailable` within about a second when Redis is away. */
export class UnpackPublisher implements AsyncDisposable {
  readonly #connection: Redis;
  readonly #options: PublisherOptions;
  readonly #queue: JobQueue;
  readonly #submissions: Submissions;
  readonly #memory: RedisMemory;

  private constructor(connection: Redis, options: PublisherOptions, queue: JobQueue) {
    this.#connection = connection;
    this.#options = options;
    this.#queue = queue;
    this.#submissions = new Submissions(connection, queue);
    this.#memory = new RedisMemory(connection, queue);
  }

  static async connect(options: PublisherOptions): Promise<UnpackPublisher> {
    const { connection, queues } = await openQueues(options.redisUrl, options.pool);
    return new UnpackPublisher(connection, options, queues.unpack);
  }

  /** Whether Redis may have lost jobs since this was asked last. */
  async mayHaveLost(): Promise<boolean> {
    try {
      return await this.#memory.mayHaveLost();
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  /** Adds every entry that Redis does not have, and tells how each stands, in the order given. */
  async enqueueUnpacks(entries: readonly OutboxEntry[]): Promise<PublishedUnpack[]> {
    try {
      const missing = await withoutJob(this.#connection, this.#queue, entries);
      await Promise.all(missing.map((entry) => this.#add(entry)));
      const added = new Set(missing);
      const published: PublishedUnpack[] = [];
      for (const entry of entries) {
        const { operationId } = entry;
        published.push(added.has(entry) ? { operationId, state: "added" } : await this.#stand(entry));
      }
      return published;
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close().catch(() => undefined);
    this.#connection.disconnect();
  }

  async #add({ operationId, ...request }: OutboxEntry): Promise<void> {
    const { pool, database } = this.#options;
    const payload = parsePayload("unpack", { ...request, pool, operationId });
    await this.#submissions.add({ name: "unpack", operationId, payload, database, isFresh: true });
  }

  async #stand(entry: OutboxEntry): Promise<PublishedUnpack> {
    const { operationId } = entry;
    const kept = await jobState(this.#queue, operationId);
    if (kept.state === "failed" && isMisaddressed(kept.failure)) {
      // It came to a database that had the pool's name for a while: nothing is known of it yet.
      await this.#queue.remove(operationId);
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
      await this.#queue.remove(entry.operationId);
      await this.#add(entry);
      return undefined;
    }
  }
}

/** A pool's queues for a dashboard to show and steer; BullMQ's own objects. */
export interface DashboardQueues extends AsyncDisposable {
  readonly pool: JobQueue;
  readonly unpack: JobQueue;
}

/** `unavailable` within about a second when Redis is away; so are the queues' own methods later on. */
export async function queuesFor(redisUrl: string, pool: PoolName): Promise<DashboardQueues> {
  const { connection, queues } = await openQueues(redisUrl, pool);
  return { ...queues, [Symbol.asyncDispose]: async () => connection.disconnect() };
}

async function openQueues(redisUrl: string, pool: PoolName) {
  const connection = await answering(producerConnection(redisUrl), redisUrl, 1.5 * answerTimeoutMs);
  try {
    const queues = {
      pool: await openQueue(connection, pool, "pool"),
      unpack: await openQueue(connection, pool, "unpack"),
    };
    return { connection, queues };
  } catch (error) {
    connection.disconnect();
    throw asRedisFailure(error);
  }
}
