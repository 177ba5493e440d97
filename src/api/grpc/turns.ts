// Room: api. Owns the turns of long answers: one step of one of them in each turn of the event loop.
import { setImmediate as nextTurn } from "node:timers/promises";

/** Other calls and the heartbeat run in between, however many lists are under way and however slow their filters are. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** To be awaited before every step. First come, first served. */
  next(): Promise<unknown> {
    this.#last = this.#last.then(() => nextTurn());
    return this.#last;
  }
}
