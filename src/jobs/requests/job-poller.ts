// Room: jobs. Owns the polling behind the events: of jobs that take long, of the worker, and of Redis itself.
import { type Backoff, pauseAfterMs } from "../../domain/backoff.ts";
import type { Waiter, Waiters } from "./waiters.ts";

const tickMs = 250;
/** Redis is pinged when it has not answered for this long. */
const silenceMs = 500;
/** Every wait ends when Redis has not answered for this long: a restart passes unnoticed, an outage does not. */
const outageMs = 1_500;
/** Whether a worker is there is checked this often while there are waits. */
const workersEveryMs = 500;
const looks: Backoff = { firstMs: 1_000, capMs: 5_000 };
const looksPerTick = 200;

export interface Watched {
  readonly waiters: Waiters;
  /** Pings Redis, and calls `heard` when it answers. Never rejects. */
  ping(): Promise<void>;
  /** Looks at the job's state, and ends the wait if the job has ended. Never rejects. */
  look(waiter: Waiter): Promise<void>;
  /** Checks whether a worker is there, and ends the waits that need one if not. Never rejects. */
  checkWorkers(): Promise<void>;
  /** Ends all waits: Redis is away. */
  outage(): void;
}

/**
 * Events can be lost, jobs too, and Redis can go away silently: so every waiter's job is looked at from time to time. The
 * cost does not grow with the number of waits: each tick makes a bounded number of looks.
 */
export class JobPoller implements Disposable {
  readonly #watched: Watched;
  readonly #timer: Timer;
  #heardMs = performance.now();
  #tickedMs = performance.now();
  #checkedMs = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  /** Redis has answered. */
  heard(): void {
    this.#heardMs = performance.now();
  }

  /** Plans the first look at a waiter's job. */
  begin(waiter: Waiter): void {
    waiter.nextLookMs = performance.now() + pauseAfterMs(looks, 1);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = performance.now();
    // A late tick means that this process was busy or asleep: that is not Redis' silence.
    this.#heardMs += Math.max(0, nowMs - this.#tickedMs - 2 * tickMs);
    this.#tickedMs = nowMs;
    if (this.#watched.waiters.areNone) {
      this.#heardMs = nowMs;
      return;
    }
    const silentMs = nowMs - this.#heardMs;
    if (silentMs > outageMs) {
      this.#watched.outage();
      // The next wait, when Redis may be back, has the full time again.
      this.#heardMs = nowMs;
      return;
    }
    if (silentMs > silenceMs) void this.#watched.ping();
    else this.#lookAround(nowMs);
    if (nowMs - this.#checkedMs < workersEveryMs) return;
    this.#checkedMs = nowMs;
    void this.#watched.checkWorkers();
  }

  #lookAround(nowMs: number): void {
    let looked = 0;
    for (const waiter of this.#watched.waiters.all()) {
      if (!waiter.isQueued || waiter.nextLookMs > nowMs) continue;
      if (looked === looksPerTick) return;
      looked += 1;
      waiter.looks += 1;
      waiter.nextLookMs = nowMs + pauseAfterMs(looks, waiter.looks);
      void this.#watched.look(waiter);
    }
  }
}
