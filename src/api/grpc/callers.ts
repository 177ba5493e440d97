// Room: api. Owns the calls in flight: each has a signal that is aborted when its client has gone.
import { AbortReason, Canceller } from "../../domain/cancellation.ts";
import { unavailable } from "../../domain/errors.ts";
import type { Caller } from "./context.ts";

/** What all of grpc-js's call types share. */
interface AnyCall {
  readonly cancelled: boolean;
  once(event: "cancelled", listener: () => void): unknown;
  off(event: "cancelled", listener: () => void): unknown;
}

/** A caller for the duration of its call. */
export interface PresentCaller extends Caller, Disposable {}

/** Each may hold a request of some megabytes, here and in the queue. containerd has about a dozen in flight. */
const maxPresent = 1024;

export class Callers {
  readonly #present = new Set<Canceller>();

  /**
   * grpc-js emits `cancelled` for a call that was cancelled, is past its deadline, or has lost its connection. Throws
   * `unavailable` if too many calls are in flight.
   */
  welcome(call: AnyCall): PresentCaller {
    if (this.#present.size >= maxPresent) throw unavailable(`${maxPresent} calls are in flight: try again`);
    const canceller = new Canceller();
    const leave = () => canceller.cancel(new AbortReason("cancelled", "the caller has gone"));
    this.#present.add(canceller);
    call.once("cancelled", leave);
    if (call.cancelled) leave();
    return {
      get signal() {
        return canceller.signal;
      },
      [Symbol.dispose]: () => {
        call.off("cancelled", leave);
        this.#present.delete(canceller);
      },
    };
  }

  /** Ends every wait; the reason says that snapmill is being stopped. */
  sendAway(): void {
    const reason = new AbortReason("stopping", "snapmill is being stopped: try again");
    for (const canceller of this.#present) canceller.cancel(reason);
  }
}
