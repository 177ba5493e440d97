// Room: api. Owns those who wait for an answer: one signal each, which aborts when nobody waits any more.
import { aborted, unavailable } from "../../domain/errors.ts";
import type { Caller } from "./context.ts";

/** What every kind of grpc-js' calls has. */
interface AnyCall {
  readonly cancelled: boolean;
  once(event: "cancelled", listener: () => void): unknown;
  off(event: "cancelled", listener: () => void): unknown;
}

/** A caller for the duration of its call. */
export interface PresentCaller extends Caller, Disposable {}

export class Callers {
  readonly #present = new Set<AbortController>();

  /** grpc-js says `cancelled` for a cancelled call, one past its deadline, and one whose connection is gone. */
  welcome(call: AnyCall): PresentCaller {
    const controller = new AbortController();
    const leave = () => controller.abort(aborted("the caller has gone"));
    this.#present.add(controller);
    call.once("cancelled", leave);
    if (call.cancelled) leave();
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        call.off("cancelled", leave);
        this.#present.delete(controller);
      },
    };
  }

  /** Every wait ends, with this as its reason. */
  sendAway(): void {
    for (const controller of this.#present) controller.abort(unavailable("snapmill is being stopped: try again"));
  }
}
