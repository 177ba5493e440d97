// Room: cli. Owns Ctrl-C and SIGTERM for commands that must undo something when they are interrupted.
import { constants } from "node:os";
import { AbortReason, Canceller } from "../../domain/cancellation.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type EndingSignal = (typeof signals)[number];

export class Interrupted extends AbortReason {
  /** The status that a shell reports for a program killed by the signal: 130 for Ctrl-C, 143 for SIGTERM. */
  readonly exitStatus: number;

  constructor(signal: EndingSignal) {
    super("interrupted", `interrupted by ${signal}`);
    this.exitStatus = 128 + constants.signals[signal];
  }
}

export interface Interruption extends Disposable {
  /**
   * Aborted by the first signal, with an Interrupted as its reason. A second one has no effect: undoing takes bounded
   * time.
   */
  readonly signal: AbortSignal;
  /** Aborts it as if the signal with this name had come. */
  readonly interrupt: (name: EndingSignal) => void;
}

/** Until disposed of, signals that would end the program abort `signal` instead: all, or those of `caught`. */
export function catchInterruption(caught: readonly EndingSignal[] = signals): Interruption {
  const canceller = new Canceller();
  const interrupt = (name: EndingSignal) => canceller.cancel(new Interrupted(name));
  const listeners = caught.map((name) => {
    const listener = () => interrupt(name);
    process.on(name, listener);
    return () => process.off(name, listener);
  });
  return {
    signal: canceller.signal,
    interrupt,
    [Symbol.dispose]: () => {
      for (const stopListening of listeners) stopListening();
    },
  };
}
