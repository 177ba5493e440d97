// Room: api. Owns the turns of long answers: one step of one of them in each turn of the event loop.
import { setImmediate as nextTurn } from "node:timers/promises";

/** However many lists are under way, and however slow their filters: other calls, and the heartbeat, go in between. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** To be awaited before every step. Those who wait have their turns in the order in which they came. */
  next(): Promise<unknown> {
    this.#last = this.#last.then(() => nextTurn());
    return this.#last;
  }
}
