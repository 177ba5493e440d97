// Room: jobs. Owns what the publishers of the outbox share: a queue, how jobs get into it, and what Redis may have lost.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { PoolName } from "../../domain/identifiers.ts";
import type { QueueKind } from "../../domain/queues.ts";
import { type JobQueue, openQueue } from "../queues.ts";
import { answering, answerTimeoutMs, producerConnection } from "../redis/connection.ts";
import { asRedisFailure } from "../redis/failures.ts";
import { Submissions } from "../requests/submissions.ts";

export interface PublisherOptions {
  readonly redisUrl: string;
  readonly pool: PoolName;
  /** The number of the database whose outbox it is. */
  readonly database: number;
}

export interface OpenedQueue {
  readonly connection: Redis;
  readonly queue: JobQueue;
}

/** A queue on a connection of its own; `unavailable` within about a second when Redis is away. */
export async function connectQueue({ redisUrl, pool }: PublisherOptions, kind: QueueKind): Promise<OpenedQueue> {
  const connection = await answering(producerConnection(redisUrl), redisUrl, 1.5 * answerTimeoutMs);
  try {
    return { connection, queue: await openQueue(connection, pool, kind) };
  } catch (error) {
    connection.disconnect();
    throw asRedisFailure(error);
  }
}

/** Puts entries of the outbox into a queue. Its methods throw `unavailable` within about a second when Redis is away. */
export class Publisher implements AsyncDisposable {
  protected readonly connection: Redis;
  protected readonly queue: JobQueue;
  protected readonly submissions: Submissions;
  readonly #markKey: string;
  readonly #mark = randomUUID();
  #isNewlyConnected = true;

  protected constructor({ connection, queue }: OpenedQueue) {
    this.connection = connection;
    this.queue = queue;
    this.submissions = new Submissions(connection, queue);
    this.#markKey = queue.toKey("outbox-mark");
    connection.on("ready", () => {
      this.#isNewlyConnected = true;
    });
  }

  /**
   * Whether Redis may have lost jobs since this was asked last; yes the first time. A mark in Redis goes with everything
   * else when Redis is emptied. A Redis that was restarted may have lost its last second and kept the mark: so a new
   * connection counts as a loss, too.
   */
  async mayHaveLost(): Promise<boolean> {
    return await this.asking(async () => {
      const isNew = this.#isNewlyConnected;
      const isMarked = (await this.connection.get(this.#markKey)) === this.#mark;
      if (!isMarked) await this.connection.set(this.#markKey, this.#mark);
      if (isNew) this.#isNewlyConnected = false;
      return isNew || !isMarked;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.queue.close().catch(() => undefined);
    this.connection.disconnect();
  }

  /** What `ask` answers; throws what Redis throws as what it means. */
  protected async asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw asRedisFailure(error);
    }
  }
}
