// Room: jobs. Owns the one reader of a queue's events that all waiters share.
import { QueueEvents } from "bullmq";
import type { PoolName } from "../domain/identifiers.ts";
import { consumerConnection } from "./connection.ts";
import { keyPrefix, type QueueKind, queueName } from "./queues.ts";

export interface EventListener {
  completed(jobId: string, result: unknown): void;
  /** The job has failed for good; why is to be looked up, since the event may be of an earlier run. */
  failed(jobId: string): void;
  progress(jobId: string, progress: unknown): void;
}

const pauseMs = 500;
const closeTimeoutMs = 1_000;

/** Reads a queue's events from one second ago on, for as long as it is not disposed of, whatever Redis does meanwhile. */
export class EventReader implements AsyncDisposable {
  readonly #events: QueueEvents;
  #isClosed = false;

  constructor(redisUrl: string, pool: PoolName, kind: QueueKind, listener: EventListener) {
    const connection = consumerConnection(redisUrl);
    // BullMQ takes a reader for ready before it reads, and reads from then on: what ended in between would be missed.
    const lastEventId = String(Date.now() - 1000);
    const options = { connection, prefix: keyPrefix(pool), lastEventId, autorun: false };
    this.#events = new QueueEvents(queueName(pool, kind), options);
    // The reader blocks, so it has made itself a connection of its own out of this one.
    connection.disconnect();
    this.#events.on("error", () => undefined);
    this.#events.on("completed", ({ jobId, returnvalue }) => listener.completed(jobId, returnvalue));
    this.#events.on("failed", ({ jobId }) => listener.failed(jobId));
    this.#events.on("progress", ({ jobId, data }) => listener.progress(jobId, data));
    void this.#read();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const closed = this.#events.close().catch(() => undefined);
    // BullMQ's close waits for Redis, which may be away.
    await Promise.race([closed, Bun.sleep(closeTimeoutMs)]);
  }

  async #read(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#events.run();
      } catch {
        // What it missed meanwhile, the watch behind the events finds.
        await Bun.sleep(pauseMs);
      }
    }
  }
}
