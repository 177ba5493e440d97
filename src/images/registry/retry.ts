// Room: images. Owns the retries of requests to registries: how many, with which pauses, and when they end.
import { setTimeout as delay } from "node:timers/promises";
import { type Backoff, spreadPauseAfterMs } from "../../domain/backoff.ts";
import { deadlineExceeded } from "../../domain/errors.ts";
import { AttemptFailure } from "./failures.ts";

export interface Patience extends Backoff {
  /** Failed attempts in a row after which the failure is final. */
  readonly attempts: number;
  /** The most that Retry-After pauses may add up to for one request. */
  readonly retryAfterMs: number;
  /** The shortest Retry-After pause: a registry may ask for 0 seconds. */
  readonly leastRetryAfterMs: number;
  /** An attempt fails after so long without an answer, or without a byte of it. */
  readonly idleMs: number;
  /** The window in which a minimum rate is measured; only waiting for bytes counts. */
  readonly rateWindowMs: number;
  /** The minimum rate where the caller sets none: without it, a trickling download would never free its worker. */
  readonly leastBytesPerSecond: number;
  readonly leastRateWindowMs: number;
  /** An attempt that brought so many bytes resets the count of failures. */
  readonly progressBytes: number;
}

export const defaultPatience: Patience = {
  attempts: 6,
  firstMs: 500,
  capMs: 5000,
  retryAfterMs: 60_000,
  leastRetryAfterMs: 1000,
  idleMs: 60_000,
  rateWindowMs: 10_000,
  leastBytesPerSecond: 1024,
  leastRateWindowMs: 60_000,
  progressBytes: 1 << 20,
};

/** The pause after the `failures`th failure in a row. */
export const pauseMs = (patience: Patience, failures: number, chance = Math.random()): number =>
  Math.max(patience.firstMs, spreadPauseAfterMs(patience, failures, chance));

/** Counts one request's failures. */
export class Retries {
  readonly #patience: Patience;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;
  #total = 0;
  #askedMs = 0;

  constructor(patience: Patience, signal: AbortSignal | undefined) {
    this.#patience = patience;
    this.#signal = signal;
  }

  /** Resets the count of failures. */
  progressed(): void {
    this.#failures = 0;
  }

  /** Waits until the next attempt may begin. Throws a final failure, and deadline_exceeded after the last attempt. */
  async failed(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted();
    if (!(error instanceof AttemptFailure)) throw error;
    this.#total += 1;
    await delay(this.#nextPauseMs(error), undefined, { signal: this.#signal }).catch(() => undefined);
    this.#signal?.throwIfAborted();
  }

  #nextPauseMs({ message, retryAfterMs }: AttemptFailure): number {
    const { attempts, retryAfterMs: mostMs, leastRetryAfterMs } = this.#patience;
    if (retryAfterMs !== undefined) {
      const waitMs = Math.max(leastRetryAfterMs, retryAfterMs);
      this.#askedMs += waitMs;
      if (this.#askedMs <= mostMs) return waitMs;
      throw deadlineExceeded(
        `${message}; it asks to wait ${Math.ceil(waitMs / 1000)} s, and no more than ${mostMs / 1000} s in all are waited`,
      );
    }
    this.#failures += 1;
    if (this.#failures >= attempts) throw deadlineExceeded(`${message}; gave up after ${this.#total} failed attempts`);
    return pauseMs(this.#patience, this.#failures);
  }
}

/** Repeats `attempt` while it fails with an AttemptFailure, as long as patience lasts. */
export async function retrying<T>(
  patience: Patience,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  const retries = new Retries(patience, signal);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await retries.failed(error);
    }
  }
}
