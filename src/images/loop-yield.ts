// Room: images. Owns the pauses in long loops over input: meanwhile a cancellation is seen, and a lock renewed.
import { setImmediate as nextTurn } from "node:timers/promises";

/** How long a loop may block the event loop. */
const maxBlockedMs = 20;

/** Lets a long loop yield to the event loop now and then. */
export class LoopYield {
  readonly #signal: AbortSignal | undefined;
  #sinceMs = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Await it in every iteration. Throws the signal's reason. */
  async next(): Promise<void> {
    if (performance.now() - this.#sinceMs >= maxBlockedMs) {
      await nextTurn();
      this.#sinceMs = performance.now();
    }
    this.throwIfAborted();
  }

  throwIfAborted(): void {
    this.#signal?.throwIfAborted();
  }
}
