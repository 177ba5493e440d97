// Room: supervisor. Owns what a supervisor must know of a child, and which states a child can be in.
import type { Exit } from "../system/process/processes.ts";

/** What a supervisor must know of its child. */
export interface ChildPlan {
  /** For logs and errors: "the pool worker". */
  readonly name: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** How long it may take to become usable; then it is killed and started again. */
  readonly readyWithinMs: number;
  /**
   * Once usable, it announces that its event loop turns (see ready.ts). Silent for so long although it could run, it is
   * killed and started again. Default: it announces nothing.
   */
  readonly hungAfterMs?: number;
  /**
   * Only its next life tidies up what it leaves behind when it is killed: when it does not end with status 0, `stop`
   * gives it that life.
   */
  readonly endsInOrder?: boolean;
  /** What must be done before every start. */
  prepare?(): void;
  /**
   * Asked when it died before it was usable: puts out of the way what keeps it from starting, and answers with a sentence
   * about that; undefined when there is nothing of the kind. `lastWords`: what it said last.
   */
  clearTheWay?(lastWords: string): string | undefined;
  /** How one knows that it is usable: its own announcement on stdout (see ready.ts), or a question that it answers. */
  readonly readiness:
    | { readonly kind: "announced" }
    | { readonly kind: "probed"; readonly probe: (signal: AbortSignal) => Promise<void> };
}

export type ChildState =
  | { readonly kind: "starting" }
  | { readonly kind: "ready"; readonly pid: number }
  /** Died, and will be started again. */
  | { readonly kind: "waiting"; readonly exit: Exit }
  | { readonly kind: "stopped" };
