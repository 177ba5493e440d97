// Room: api. Owns the calls that wait for an answer: a signal for each, aborted when its client has gone.
import { AbortReason, Canceller } from "../../domain/cancellation.ts";
import { unavailable } from "../../domain/errors.ts";
import type { Caller } from "./context.ts";

/** What every kind of grpc-js' calls has. */
interface AnyCall {
  readonly cancelled: boolean;
  once(event: "cancelled", listener: () => void): unknown;
  off(event: "cancelled", listener: () => void): unknown;
}

/** A caller for the duration of its call. */
export interface PresentCaller extends Caller, Disposable {}

/** Each may hold a request of some megabytes, here and in the queue. containerd has about a dozen under way at once. */
const maxPresent = 1024;

export class Callers {
  readonly #present = new Set<Canceller>();

  /**
   * grpc-js emits `cancelled` for a cancelled call, one past its deadline, and one whose connection is gone. Throws
   * `unavailable` when too many calls are under way.
   */
  welcome(call: AnyCall): PresentCaller {
    if (this.#present.size >= maxPresent) throw unavailable(`${maxPresent} calls are under way at once: try again`);
    const canceller = new Canceller();
    const leave = () => canceller.cancel(new AbortReason("cancelled", "the caller has gone"));
    this.#present.add(canceller);
    call.once("cancelled", leave);
    if (call.cancelled) leave();
    return {
      signal: canceller.signal,
      [Symbol.dispose]: () => {
        call.off("cancelled", leave);
        this.#present.delete(canceller);
      },
    };
  }

  /** Every wait ends, with this as its reason. */
  sendAway(): void {
    const reason = new AbortReason("stopping", "snapmill is being stopped: try again");
    for (const canceller of this.#present) canceller.cancel(reason);
  }
}
