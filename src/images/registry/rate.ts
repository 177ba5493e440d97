// Room: images. Owns the rates of downloads within a process: the bandwidth limit, and the minimum rate.
import { setTimeout as delay } from "node:timers/promises";

/** Limits its users together to a number of bytes a second. */
export class Bandwidth {
  readonly #bytesPerSecond: number | undefined;
  /** The time at which the bytes spent so far are paid for. */
  #paidUntilMs = 0;

  /** `bytesPerSecond` undefined: no limit. */
  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Waits as long as `bytes` take at this rate. Throws the reason of `signal`. */
  async spend(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === undefined) return;
    const nowMs = performance.now();
    this.#paidUntilMs = Math.max(nowMs, this.#paidUntilMs) + (bytes / this.#bytesPerSecond) * 1000;
    const waitMs = this.#paidUntilMs - nowMs;
    if (waitMs < 1) return;
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    signal?.throwIfAborted();
  }
}

/** Measures the sender alone: only the time spent waiting for its bytes counts, not that of a slow reader. */
export class MinimumRate {
  readonly #bytesPerSecond: number;
  readonly #windowMs: number;
  #waitedMs = 0;
  #bytes = 0;
  #sinceMs = 0;

  constructor(bytesPerSecond: number, windowMs: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#windowMs = windowMs;
  }

  waits(): void {
    this.#sinceMs = performance.now();
  }

  /** Counts received bytes; false when a whole window brought too few. */
  isEnough(bytes: number): boolean {
    this.#waitedMs += performance.now() - this.#sinceMs;
    this.#bytes += bytes;
    if (this.#waitedMs < this.#windowMs) return true;
    const isEnough = (this.#bytes * 1000) / this.#waitedMs >= this.#bytesPerSecond;
    this.#waitedMs = 0;
    this.#bytes = 0;
    return isEnough;
  }
}
