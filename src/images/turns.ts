// Room: images. Owns the pauses in long loops over input: a cancel must act, and a lock be renewed, in the middle of one.
import { setImmediate as nextTurn } from "node:timers/promises";

/** A loop that works longer than this lets the event loop have its turn. */
const turnMs = 20;

export class Turns {
  readonly #signal: AbortSignal | undefined;
  #sinceMs = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** To be awaited in every round of the loop. Throws the signal's reason. */
  async next(): Promise<void> {
    if (performance.now() - this.#sinceMs >= turnMs) {
      await nextTurn();
      this.#sinceMs = performance.now();
    }
    this.throwIfAborted();
  }

  throwIfAborted(): void {
    this.#signal?.throwIfAborted();
  }
}
