// Room: service. Owns the operations that callers have begun: each under its ID, once, with one answer, across restarts.
import { setImmediate as turn } from "node:timers/promises";
import { isRetryable, unavailable } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import type { AskedOperation } from "../metadata/asked-operations.ts";
import { type Answer, payloadHash } from "../metadata/journal.ts";
import { OperationBook, type OperationBookOptions } from "./operation-book.ts";
import { type Asked, Tracked, type WorkOptions } from "./tracked.ts";

export type Beginning =
  | { readonly kind: "begun" | "running"; readonly tracked: Tracked }
  | { readonly kind: "ended"; readonly answer: Answer }
  /** The ID was used for something else. */
  | { readonly kind: "other"; readonly operation: string }
  /** The `up` that ran it ended before it did, and to run it once more might have other effects. */
  | { readonly kind: "unknown" };

const pruneEveryMs = 600_000;
/** Each takes up a few kB, and one that waits for the pool's worker may last for minutes. */
const maxRunning = 10_000;

export interface OperationTrackerOptions extends OperationBookOptions {
  readonly maxRunning?: number;
}
/** Of so many that have ended, the last progress is kept: whoever follows a short one comes after its end. */
const keptProgress = 100;

export class OperationTracker implements Disposable {
  readonly #book: OperationBook;
  readonly #maxRunning: number;
  readonly #timer: Timer;
  /** Those that run, and those that are unwritten. */
  readonly #here = new Map<OperationId, Tracked>();
  /** Those whose end could not be written when it came. */
  readonly #unwritten = new Set<Tracked>();
  readonly #progress = new Map<OperationId, unknown>();
  #isOpen = true;

  constructor(options: OperationTrackerOptions) {
    this.#maxRunning = options.maxRunning ?? maxRunning;
    this.#book = new OperationBook(options);
    this.#timer = setInterval(() => void this.prune(), pruneEveryMs);
    void this.prune();
  }

  /** The operation, if it runs here. */
  find(operationId: OperationId): Tracked | undefined {
    return this.#here.get(operationId);
  }

  /** What an operation that has ended here lately told last of itself. */
  lastProgress(operationId: OperationId): unknown {
    return this.#progress.get(operationId);
  }

  /** The operation as it was written down, if it does not run here. One without an end was interrupted. */
  recorded(operationId: OperationId): AskedOperation | undefined {
    return this.#book.look(operationId);
  }

  /**
   * Begins `work`, unless the operation is running or has its answer. One that failed for a reason that may pass begins
   * anew. Throws unavailable, without an effect, if it cannot be written down, or too many are running.
   */
  begin(asked: Asked, given: unknown, work: (options: WorkOptions) => unknown): Beginning {
    const { pool = null, ...told } = asked;
    const digest = payloadHash({ operation: asked.operation, pool: asked.pool, given });
    this.#writeEnds();
    const known = this.#known(asked, digest);
    if (known !== undefined) return known;
    // What is of no pool is a cancellation.
    if (asked.pool !== undefined && this.#here.size >= this.#maxRunning) {
      throw unavailable(`${this.#here.size} operations are under way, as many as may be: wait for some of them to end`);
    }
    this.#book.begin({ ...told, pool, digest, startedAtMs: Date.now() }, () => [...this.#here.keys()]);
    const tracked = new Tracked(asked, digest, work, (ended) => this.#end(ended));
    this.#here.set(asked.operationId, tracked);
    return { kind: "begun", tracked };
  }

  /** What there is to say to a repetition; undefined: it is none, or begins anew. */
  #known({ operationId, isKeyed, recovery }: Asked, digest: string): Beginning | undefined {
    const here = this.#here.get(operationId);
    const known = here ?? (isKeyed ? this.#book.find(operationId) : undefined);
    if (known === undefined) return undefined;
    if (known.digest !== digest)
      return { kind: "other", operation: "asked" in known ? known.asked.operation : known.operation };
    if (known.answer !== undefined) return isFinal(known.answer) ? { kind: "ended", answer: known.answer } : undefined;
    if (here !== undefined) return { kind: "running", tracked: here };
    return recovery === "unknown" ? { kind: "unknown" } : undefined;
  }

  /** Drops what is too old, in steps with turns for requests in between. */
  async prune(): Promise<void> {
    // The first turn comes before the first step: nobody waits for it at the start.
    do await turn();
    while (this.#isOpen && this.#book.prune([...this.#here.keys()]));
    if (this.#isOpen) this.#writeEnds();
  }

  /** What ends later is not written down any more: to whoever asks again, it was interrupted. */
  [Symbol.dispose](): void {
    this.#isOpen = false;
    clearInterval(this.#timer);
  }

  #end(tracked: Tracked): void {
    if (!this.#isOpen || !this.#book.end(tracked)) {
      this.#unwritten.add(tracked);
      return;
    }
    this.#keepProgress(tracked);
    this.#here.delete(tracked.asked.operationId);
    this.#unwritten.delete(tracked);
  }

  #keepProgress({ asked, progress }: Tracked): void {
    if (progress === undefined) return;
    this.#progress.set(asked.operationId, progress);
    for (const oldest of this.#progress.keys()) {
      if (this.#progress.size <= keptProgress) return;
      this.#progress.delete(oldest);
    }
  }

  #writeEnds(): void {
    for (const tracked of this.#unwritten) this.#end(tracked);
  }
}

const isFinal = (answer: Answer): boolean => answer.outcome === "result" || !isRetryable(answer.failure.code);
