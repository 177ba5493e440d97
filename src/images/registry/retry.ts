// Room: images. Owns patience with registries: how often an attempt is repeated, how long is waited, when it is over.
import { setTimeout as delay } from "node:timers/promises";
import { type Backoff, spreadPauseAfterMs } from "../../domain/backoff.ts";
import { deadlineExceeded } from "../../domain/errors.ts";
import { AttemptFailure } from "./failures.ts";

export interface Patience extends Backoff {
  /** Attempts in a row that may fail before the last failure is final. */
  readonly attempts: number;
  /** All that is waited because a registry asks for it, for one request. */
  readonly retryAfterMs: number;
  /** The least that is waited because a registry asks for it: it may ask for nothing. */
  readonly leastRetryAfterMs: number;
  /** Without an answer, or without a byte of it, for so long an attempt has failed. */
  readonly idleMs: number;
  /** The time of waiting for bytes over which a rate is measured. */
  readonly rateWindowMs: number;
  /** The least rate where the caller names none, over a longer time: below it, a download would hold its worker for ever. */
  readonly leastBytesPerSecond: number;
  readonly leastRateWindowMs: number;
  /** So many bytes make an attempt that failed count as a first one. */
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

/** The account of one request's failures. */
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

  /** An attempt got so far that failures before it no longer count. */
  progressed(): void {
    this.#failures = 0;
  }

  /** Waits until the next attempt may begin. Throws what is not worth one, and deadline_exceeded when it was the last. */
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
