// Room: api. Owns the turns of long answers: one step of one answer per turn of the event loop.
import { setImmediate as nextTurn } from "node:timers/promises";

/** Other calls and the heartbeat run in between, even if many lists with slow filters are in flight. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** To be awaited before every step. First come, first served. */
  next(): Promise<unknown> {
    this.#last = this.#last.then(() => nextTurn());
    return this.#last;
  }
}
