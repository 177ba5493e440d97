// Room: domain. Owns patience: what fails for a reason that may pass is tried again, for a bounded time.
import { type Backoff, pauseAfterMs } from "./backoff.ts";
import type { SnapmillError } from "./errors.ts";
import { pause } from "./timers.ts";

export interface RetrierOptions<Failure extends SnapmillError> {
  /** Which failures may pass. Others are thrown at once. */
  readonly mayPass: (error: unknown) => error is Failure;
  /** How long one outage is borne before its failure is thrown. Infinity: until the signal. */
  readonly outageMs: number;
  readonly backoff: Backoff;
  /** Told once for each outage. */
  readonly onOutage?: ((failure: Failure) => void) | undefined;
  /** Told of each attempt that failed and will be repeated. */
  readonly onFailure?: ((failure: Failure, attempt: number) => void) | undefined;
}

/** An attempt that lasted longer than this before it failed: what it needs had been back, and this is another outage. */
const anotherAfterMs = 5_000;

/** Several calls may share one, and one outage then. */
export class Retrier<Failure extends SnapmillError> {
  readonly #options: RetrierOptions<Failure>;
  /** Of the outage under way. */
  #sinceMs: number | undefined;

  constructor(options: RetrierOptions<Failure>) {
    this.#options = options;
  }

  /** What `action` answers; it is called again while it fails for a reason that may pass. `signal` ends that with its reason. */
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
    // Of several calls that it hits, the first begins it.
    const isKnown = this.#sinceMs !== undefined && nowMs - this.#sinceMs < anotherAfterMs;
    if (this.#sinceMs === undefined || (lastedMs > anotherAfterMs && !isKnown)) {
      this.#sinceMs = nowMs;
      onOutage?.(failure);
    }
    return nowMs - this.#sinceMs < outageMs;
  }
}
