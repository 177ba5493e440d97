// Room: domain. Owns cancellation: the closed set of reasons for which work is aborted, and the one way to abort it.
import { aborted, type ErrorCode, SnapmillError } from "./errors.ts";

/** Why work is aborted. Only `cancelled` means that its result is no longer wanted. */
export type AbortKind =
  /** The caller has cancelled it, or is gone. */
  | "cancelled"
  /** A signal interrupts the command. */
  | "interrupted"
  | "deadline"
  /** This process is being stopped. */
  | "stopping"
  /** The queue may have given the job to another worker. */
  | "lock_lost"
  /** The queue that the job came from is held: it goes back, and waits. */
  | "held"
  /** The output of a command cannot be written. */
  | "output"
  /** The work that it was part of has ended. */
  | "over";

const codeOf: Readonly<Record<AbortKind, ErrorCode>> = {
  cancelled: "aborted",
  interrupted: "aborted",
  deadline: "deadline_exceeded",
  stopping: "unavailable",
  lock_lost: "aborted",
  held: "aborted",
  output: "aborted",
  over: "aborted",
};

/** The reason of every abort signal in this project. It says nothing of the work itself, which may be tried again. */
export class AbortReason extends SnapmillError {
  readonly kind: AbortKind;

  constructor(kind: AbortKind, message: string, options?: ErrorOptions & { readonly code?: ErrorCode }) {
    super(options?.code ?? codeOf[kind], message, options);
    this.kind = kind;
  }
}

/**
 * An AbortController whose reason is typed. The linter keeps the plain one out of the sources: a reason that is a
 * string, or none, turns into an `internal` failure where it is thrown, and `internal` is final.
 */
export class Canceller {
  #controller: AbortController | undefined;
  #reason: AbortReason | undefined;

  /** Made when it is first asked for, which a call that only reads never does. */
  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal;
    this.#controller = new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  get isCancelled(): boolean {
    return this.#reason !== undefined;
  }

  /** The first reason counts. */
  cancel(reason: AbortReason): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}

/** The reason of a signal that has been aborted by a Canceller; undefined: it has not. */
export const abortReason = ({ reason }: AbortSignal): AbortReason | undefined =>
  reason instanceof AbortReason ? reason : undefined;

/** Rejects with the reason of `signal` as soon as it is aborted; never resolves. */
export async function untilAborted(signal: AbortSignal): Promise<never> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
  signal.throwIfAborted();
  throw aborted("interrupted");
}
