// Room: jobs. Owns the way from the pool's outbox into the unpack queue, and the queues as the dashboard wants them.
import type { Redis } from "ioredis";
import type { SnapmillError } from "../domain/errors.ts";
import type { OperationId, PoolName } from "../domain/identifiers.ts";
import { answering, answerTimeoutMs, producerConnection } from "./connection.ts";
import { parsePayload, parseResult, type UnpackedImage } from "./contract.ts";
import { type JobQueue, openQueue } from "./queues.ts";
import { asRedisFailure } from "./redis-failure.ts";
import { standing } from "./standing.ts";
import { Submissions } from "./submissions.ts";

/** An unpack as the outbox holds it. */
export interface OutboxEntry {
  readonly operationId: OperationId;
  readonly reference: string;
  readonly platform: string;
}

/** What the unpack queue has of an entry: `present` waits, runs, or is between attempts; an ended one is not run again. */
export type Relayed = { readonly operationId: OperationId } & (
  | { readonly state: "added" | "present" }
  | { readonly state: "completed"; readonly image: UnpackedImage }
  | { readonly state: "failed"; readonly failure: SnapmillError }
);

/** Puts unpacks into a pool's unpack queue. Its methods throw `unavailable` within about a second when Redis is away. */
export class UnpackRelay implements AsyncDisposable {
  readonly #connection: Redis;
  readonly #pool: PoolName;
  readonly #queue: JobQueue;
  readonly #submissions: Submissions;

  private constructor(connection: Redis, pool: PoolName, queue: JobQueue) {
    this.#connection = connection;
    this.#pool = pool;
    this.#queue = queue;
    this.#submissions = new Submissions(connection, queue);
  }

  static async connect({ redisUrl, pool }: { redisUrl: string; pool: PoolName }): Promise<UnpackRelay> {
    const { connection, queues } = await openQueues(redisUrl, pool);
    return new UnpackRelay(connection, pool, queues.unpack);
  }

  /** Adds every entry that Redis does not have, and tells how each stands, in the order given. */
  async enqueueUnpacks(entries: readonly OutboxEntry[]): Promise<Relayed[]> {
    try {
      return await Promise.all(entries.map((entry) => this.#enqueue(entry)));
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close().catch(() => undefined);
    this.#connection.disconnect();
  }

  async #enqueue({ operationId, reference, platform }: OutboxEntry): Promise<Relayed> {
    const payload = parsePayload("unpack", { pool: this.#pool, operationId, reference, platform });
    const stored = await this.#submissions.add({ name: "unpack", operationId, payload, isFresh: false });
    if (stored === undefined) return { operationId, state: "added" };
    const kept = await standing(this.#queue, operationId);
    switch (kept.state) {
      case "completed":
        return { operationId, state: "completed", image: parseResult("unpack", kept.result) };
      case "failed":
        return { operationId, state: "failed", failure: kept.failure };
      case "pending":
      case "lost":
        return { operationId, state: "present" };
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
