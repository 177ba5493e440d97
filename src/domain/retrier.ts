// Room: domain. Owns retries: an action that fails for a transient reason is repeated for a bounded time.
import { type Backoff, pauseAfterMs } from "./backoff.ts";
import type { SnapmillError } from "./errors.ts";
import { pause } from "./timers.ts";

export interface RetrierOptions<Failure extends SnapmillError> {
  /** Which failures are transient. Others are thrown at once. */
  readonly mayPass: (error: unknown) => error is Failure;
  /** How long an outage may last before its failure is thrown. Infinity: until the signal is aborted. */
  readonly outageMs: number;
  readonly backoff: Backoff;
  /** Called once for each outage. */
  readonly onOutage?: ((failure: Failure) => void) | undefined;
  /** Called for each attempt that failed and will be repeated. */
  readonly onFailure?: ((failure: Failure, attempt: number) => void) | undefined;
}

/** If an attempt took longer than this before it failed, the outage had ended, and this is another one. */
const anotherAfterMs = 5_000;

/** Several calls may share a retrier, and with it their outages. */
export class Retrier<Failure extends SnapmillError> {
  readonly #options: RetrierOptions<Failure>;
  /** Start of the current outage. */
  #sinceMs: number | undefined;

  constructor(options: RetrierOptions<Failure>) {
    this.#options = options;
  }

  /** Returns what `action` returns, and repeats it while its failures are transient. Rejects with the reason of `signal`. */
  async run<T>(action: (attempt: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { mayPass, backoff, onFailure } = this.#options;
    for (let attempt = 1, failures = 1; ; attempt += 1, failures += 1) {
      const askedMs = performance.now();
      try {
        const answer = await action(attempt);
        this.#sinceMs = undefined;
        return answer;
      } catch (error) {
        const lastedMs = performance.now() - askedMs;
        if (!mayPass(error) || !this.#goesOn(error, lastedMs)) throw error;
        signal?.throwIfAborted();
        if (lastedMs > anotherAfterMs) failures = 1;
        onFailure?.(error, attempt);
      }
      await pause(pauseAfterMs(backoff, failures), signal);
      signal?.throwIfAborted();
    }
  }

  #goesOn(failure: Failure, lastedMs: number): boolean {
    const { outageMs, onOutage } = this.#options;
    if (outageMs <= 0) return false;
    const nowMs = performance.now();
    // Of several calls that an outage hits, the first one starts it.
    const isKnown = this.#sinceMs !== undefined && nowMs - this.#sinceMs < anotherAfterMs;
    if (this.#sinceMs === undefined || (lastedMs > anotherAfterMs && !isKnown)) {
      this.#sinceMs = nowMs;
      onOutage?.(failure);
    }
    return nowMs - this.#sinceMs < outageMs;
  }
}
