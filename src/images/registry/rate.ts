// Room: images. Owns the rates of downloads: the most that is taken, and the least that is put up with.
import { setTimeout as delay } from "node:timers/promises";

/** Shares a number of bytes a second between all who spend of it. */
export class Bandwidth {
  readonly #bytesPerSecond: number | undefined;
  /** When all that was spent so far has had its time. */
  #paidUntilMs = 0;

  /** `bytesPerSecond` undefined: no limit. */
  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Waits until `bytes` more have had their time. Throws the reason of `signal`. */
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

/** Measures the sender alone: the time in which its bytes are waited for, not that in which nobody asks for them. */
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

  /** Counts what came; false when a whole window brought too little. */
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
