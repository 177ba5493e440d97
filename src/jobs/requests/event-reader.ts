// Room: jobs. Owns the one reader of a queue's events that all waiters share.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { PoolName } from "../../domain/identifiers.ts";
import type { QueueKind } from "../../domain/queues.ts";
import { keyPrefix, queueName } from "../queues.ts";
import { consumerConnection } from "../redis/connection.ts";

export interface EventListener {
  completed(jobId: string, result: unknown): void;
  /** The job has failed for good; why is to be looked up, since the event may be of an earlier run. */
  failed(jobId: string): void;
  progress(jobId: string, progress: unknown): void;
}

const pauseMs = 500;
/** How long one read blocks: a reader that is no longer needed stops after that. */
const blockMs = 2_000;
/**
 * A job's first events (it was added, it is active) are of no use, and reading them takes processor time from its worker:
 * so a reader begins this much later, unless the last job was over within twice that time.
 */
const headStartMs = 1;
/** A clock may differ a little from that of Redis, by which events are numbered. */
const overlapMs = 1_000;

/**
 * Reads a queue's events, a stream that BullMQ writes, while there are waits (`isNeeded`), whatever Redis does meanwhile.
 * Every client of a queue gets every event: one that reads on without need costs each job some time.
 */
export class EventReader implements Disposable {
  readonly #connection: Redis;
  readonly #streamKey: string;
  readonly #listener: EventListener;
  readonly #isNeeded: () => boolean;
  /** The last event that was read: its number, which begins with the time of Redis in milliseconds. */
  #after = "0";
  /** How long the last reading was needed. */
  #lastedMs = 0;
  #isReading = false;
  #isClosed = false;

  constructor(
    redisUrl: string,
    { pool, kind, isNeeded }: { readonly pool: PoolName; readonly kind: QueueKind; readonly isNeeded: () => boolean },
    listener: EventListener,
  ) {
    this.#connection = consumerConnection(redisUrl);
    this.#streamKey = `${keyPrefix(pool)}:${queueName(pool, kind)}:events`;
    this.#listener = listener;
    this.#isNeeded = isNeeded;
  }

  /** To be called whenever a wait begins. */
  wake(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    void this.#read();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#connection.disconnect();
  }

  async #read(): Promise<void> {
    this.#after = this.#whereToBegin();
    const beganMs = performance.now();
    if (this.#lastedMs > 2 * headStartMs) await Bun.sleep(headStartMs);
    while (await this.#isNeededStill()) {
      try {
        const streams = await this.#connection.xread("BLOCK", blockMs, "STREAMS", this.#streamKey, this.#after);
        for (const [entryId, fields] of streams?.[0]?.[1] ?? []) {
          this.#after = entryId;
          this.#tell(fields);
        }
      } catch {
        // The poller finds what is missed meanwhile.
        await Bun.sleep(pauseMs);
      }
    }
    this.#lastedMs = performance.now() - beganMs;
  }

  /**
   * Where the last read ended, if that was just now. Otherwise a moment ago, not "now": "now" would be when Redis gets to
   * it, and the job may have ended by then. A number from the future, as after a clock was corrected, would hide all
   * events until then.
   */
  #whereToBegin(): string {
    const nowMs = Date.now();
    const endedMs = Number.parseInt(this.#after, 10);
    const isRecent = Math.abs(nowMs - endedMs) < overlapMs;
    return isRecent ? this.#after : String(nowMs - overlapMs);
  }

  /**
   * Asked after the receiver of an event has had its turn: by then most callers' next job is on its way to Redis, ahead of
   * the next read. Once the answer is no, `wake` begins anew.
   */
  async #isNeededStill(): Promise<boolean> {
    await nextTurn();
    this.#isReading = !this.#isClosed && this.#isNeeded();
    return this.#isReading;
  }

  #tell(fields: readonly string[]): void {
    const name = fieldOf(fields, "event");
    const jobId = fieldOf(fields, "jobId") ?? "";
    if (name === "completed") this.#listener.completed(jobId, parsed(fieldOf(fields, "returnvalue")));
    if (name === "failed") this.#listener.failed(jobId);
    if (name === "progress") this.#listener.progress(jobId, parsed(fieldOf(fields, "data")));
  }
}

/** Undefined for what is not JSON: it is refused where it is parsed as a result or as progress. */
function parsed(text = "null"): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The value of a field in an entry of a stream: names and values in turns. */
function fieldOf(fields: readonly string[], name: string): string | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
  return undefined;
}
