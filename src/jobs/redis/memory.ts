// Room: jobs. Owns the question whether a Redis may have forgotten jobs that it was given.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { JobQueue } from "../queues.ts";

/**
 * A mark in Redis that goes with everything else when Redis is emptied. A Redis that was restarted may have lost its last
 * second and kept the mark: so a new connection counts as a loss, too.
 */
export class RedisMemory {
  readonly #connection: Redis;
  readonly #key: string;
  readonly #mark = randomUUID();
  #isNewlyConnected = true;

  constructor(connection: Redis, queue: JobQueue) {
    this.#connection = connection;
    this.#key = queue.toKey("relay-mark");
    connection.on("ready", () => {
      this.#isNewlyConnected = true;
    });
  }

  /** Whether something may be lost since the last time that this was asked; yes the first time. Throws what Redis throws. */
  async mayHaveLost(): Promise<boolean> {
    const isNew = this.#isNewlyConnected;
    const isMarked = (await this.#connection.get(this.#key)) === this.#mark;
    if (!isMarked) await this.#connection.set(this.#key, this.#mark);
    if (isNew) this.#isNewlyConnected = false;
    return isNew || !isMarked;
  }
}
