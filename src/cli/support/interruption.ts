// Room: cli. Owns Ctrl-C and SIGTERM for commands that have something to undo when they are interrupted.
import { constants } from "node:os";
import { AbortReason, Canceller } from "../../domain/cancellation.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type EndingSignal = (typeof signals)[number];

export class Interrupted extends AbortReason {
  /** As a shell reports a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM. */
  readonly exitStatus: number;

  constructor(signal: EndingSignal) {
    super("interrupted", `interrupted by ${signal}`);
    this.exitStatus = 128 + constants.signals[signal];
  }
}

export interface Interruption extends Disposable {
  /** Aborted, with an Interrupted as its reason, by the first signal. A second one changes nothing: undoing is bounded. */
  readonly signal: AbortSignal;
}

/** From now until it is disposed of, signals that would end the program abort `signal` instead. */
export function catchInterruption(): Interruption {
  const canceller = new Canceller();
  const listeners = signals.map((name) => {
    const listener = () => canceller.cancel(new Interrupted(name));
    process.on(name, listener);
    return () => process.off(name, listener);
  });
  return {
    signal: canceller.signal,
    [Symbol.dispose]: () => {
      for (const stopListening of listeners) stopListening();
    },
  };
}
