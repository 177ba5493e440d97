// Room: snapshotter. Owns how an operation shows in traces: its wait in the operation queue, and its transactions.
import { boundToWork, isTracing, workEnded } from "../domain/work.ts";

/** One operation, from its submission. Its work is that of whoever submitted it. */
export interface OperationObserver {
  /** A round's transaction that held a step of this operation has ended, with the commit; it began at `startMs`. */
  readonly committed: (step: "intent" | "result", startMs: number, failure: unknown) => void;
}

/** `job`: the operation's name. Undefined where no traces are made. */
export function observeOperation(job: string): OperationObserver | undefined {
  if (!isTracing()) return undefined;
  const submittedMs = Date.now();
  let hasBegun = false;
  const tell: OperationObserver["committed"] = (step, startMs, failure) => {
    if (!hasBegun) workEnded({ name: `lane ${job}`, startMs: submittedMs, endMs: Math.max(submittedMs, startMs) });
    hasBegun = true;
    workEnded({ name: `journal ${step}`, startMs, endMs: Date.now(), failure });
  };
  return { committed: boundToWork(tell) };
}
