// Room: jobs. Owns how a client bears with a Redis that is away: what is asked is asked again, for a bounded time.
import { setTimeout as delay } from "node:timers/promises";
import { RedisAway } from "./failure.ts";

export interface OutagePatience {
  /** How long one outage is borne before its failure is thrown. */
  readonly outageMs: number;
  /** Told once for each outage. */
  readonly onOutage?: ((reason: RedisAway) => void) | undefined;
}

/** An attempt that lasted longer than this before Redis went away: it had been back, and this is another outage. */
const anotherAfterMs = 5_000;
const firstPauseMs = 100;
const longestPauseMs = 1_000;

export class Outages {
  readonly #patience: OutagePatience;
  /** Of the outage under way, in which several calls may be. */
  #sinceMs: number | undefined;

  constructor(patience: OutagePatience = { outageMs: 0 }) {
    this.#patience = patience;
  }

  /** What `action` answers; it is called again while it throws that Redis is away. `signal` ends that with its reason. */
  async ride<T>(action: (attempt: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const askedMs = performance.now();
      try {
        const answer = await action(attempt);
        this.#sinceMs = undefined;
        return answer;
      } catch (error) {
        if (!(error instanceof RedisAway) || !this.#goesOn(error, performance.now() - askedMs)) throw error;
      }
      const pauseMs = Math.min(firstPauseMs * 2 ** (attempt - 1), longestPauseMs);
      await delay(pauseMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  #goesOn(reason: RedisAway, lastedMs: number): boolean {
    const { outageMs, onOutage } = this.#patience;
    if (outageMs <= 0) return false;
    const nowMs = performance.now();
    // Of several calls that it hits, the first begins it.
    const isKnown = this.#sinceMs !== undefined && nowMs - this.#sinceMs < anotherAfterMs;
    if (this.#sinceMs === undefined || (lastedMs > anotherAfterMs && !isKnown)) {
      this.#sinceMs = nowMs;
      onOutage?.(reason);
    }
    return nowMs - this.#sinceMs < outageMs;
  }
}
