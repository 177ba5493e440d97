// Room: jobs. Owns the watch behind the events: it looks at the state of jobs that are long in coming, and at Redis itself.
import { type Backoff, pauseAfterMs } from "../../domain/backoff.ts";
import type { Waiter, Waiters } from "./waiters.ts";

const tickMs = 250;
/** Redis is asked for a sign of life when it has given none for this long. */
const silenceMs = 500;
/** Whoever waits is sent away when Redis has given none for this long: a restart passes unnoticed, an outage does not. */
const outageMs = 1_500;
/** Whether a worker is there is asked this often, as long as somebody waits. */
const rollMs = 500;
const looks: Backoff = { firstMs: 1_000, capMs: 5_000 };
const looksPerTick = 200;

export interface Watched {
  readonly waiters: Waiters;
  /** Asks Redis for a sign of life; it calls `heard` when it got one. Never rejects. */
  ping(): Promise<void>;
  /** Looks at the job's state, and ends the wait if the job has ended. Never rejects. */
  look(waiter: Waiter): Promise<void>;
  /** Looks whether anybody is there to execute jobs, and ends the waits that need somebody. Never rejects. */
  callTheRoll(): Promise<void>;
  /** Ends all waits: Redis is away. */
  outage(): void;
}

/**
 * Events can be lost, jobs too, and Redis can go away without a word: so every waiter's job is looked at from time to
 * time. The price does not depend on how many wait: a bounded number of looks a tick.
 */
export class JobPoller implements Disposable {
  readonly #watched: Watched;
  readonly #timer: Timer;
  #heardMs = performance.now();
  #tickedMs = performance.now();
  #calledMs = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  /** Redis has given a sign of life. */
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
    // A tick that comes late says that this process was busy or asleep: no fault of Redis.
    this.#heardMs += Math.max(0, nowMs - this.#tickedMs - 2 * tickMs);
    this.#tickedMs = nowMs;
    if (this.#watched.waiters.areNone) {
      this.#heardMs = nowMs;
      return;
    }
    const silentMs = nowMs - this.#heardMs;
    if (silentMs > outageMs) {
      this.#watched.outage();
      // Whoever comes next, when Redis may be back, has all of the time again.
      this.#heardMs = nowMs;
      return;
    }
    if (silentMs > silenceMs) void this.#watched.ping();
    else this.#lookAround(nowMs);
    if (nowMs - this.#calledMs < rollMs) return;
    this.#calledMs = nowMs;
    void this.#watched.callTheRoll();
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
