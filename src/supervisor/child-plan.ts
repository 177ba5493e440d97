// Room: supervisor. Owns the description of a child process for its supervisor, and the states of a child.
import type { Tally } from "../domain/tally.ts";
import type { Exit } from "../system/process/processes.ts";

/** What a supervisor needs to know about its child. */
export interface ChildPlan {
  /** For logs and errors: "the pool worker". */
  readonly name: string;
  /** For metrics, where it stands for the child: "pool", "unpack-1". */
  readonly component: string;
  /** Where what the child observes is added. Default: nowhere. */
  readonly totals?: Pick<Tally, "add">;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Time from SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** A child that is not usable after this time is killed and restarted. */
  readonly readyWithinMs: number;
  /**
   * The child sends heartbeats once it is usable (see ready.ts). If it is silent for this long although it could run,
   * it is killed and restarted. Default: it sends no heartbeats.
   */
  readonly hungAfterMs?: number;
  /**
   * What the child leaves behind when it is killed is cleaned up only by its next start. If it ends with another status
   * than 0, `stop` starts it once more for that.
   */
  readonly endsInOrder?: boolean;
  /** Called before every start. */
  prepare?(): void;
  /**
   * Called when the child died before it was usable. Removes an obstacle to its start and returns a sentence about it;
   * returns undefined if there is no such obstacle. `lastWords`: the child's last message.
   */
  clearTheWay?(lastWords: string): string | undefined;
  /** How to tell that the child is usable: it announces it on stdout (see ready.ts), or a probe succeeds. */
  readonly readiness:
    | { readonly kind: "announced" }
    | { readonly kind: "probed"; readonly probe: (signal: AbortSignal) => Promise<void> };
}

export type ChildState =
  | { readonly kind: "starting" }
  | { readonly kind: "ready"; readonly pid: number }
  /** Died, and will be restarted. */
  | { readonly kind: "waiting"; readonly exit: Exit }
  | { readonly kind: "stopped" };

/** What metrics say of a child. */
export interface Component {
  /** As in its plan. */
  readonly component: string;
  /** Of the running process, if any. */
  readonly pid: number | undefined;
  readonly restarts: number;
}
