// Room: service. Owns the operations that callers of an `up` have begun: each under its ID, with its state and its answer.
import { type AbortReason, Canceller } from "../domain/cancellation.ts";
import { asSnapmillError, isRetryable } from "../domain/errors.ts";
import type { OperationId, PoolName } from "../domain/identifiers.ts";
import { type Answer, payloadHash } from "../metadata/journal.ts";

/** What is asked for: the same under one ID is a repetition, anything else a caller's mistake. */
export interface Asked {
  readonly operationId: OperationId;
  /** Its name in service/api.ts. */
  readonly operation: string;
  /** Undefined: of the host. */
  readonly pool: PoolName | undefined;
  /** The parsed arguments. */
  readonly given: unknown;
}

/** What the work of an operation is given. */
export interface WorkOptions {
  readonly operationId: OperationId;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: unknown) => void;
}

/** An operation that was begun here. */
export class Tracked {
  readonly asked: Omit<Asked, "given">;
  readonly hash: string;
  readonly startedAtMs = Date.now();
  endedAtMs: number | undefined;
  /** As its work last told it. */
  progress: unknown;
  /** Undefined: it is running. */
  answer: Answer | undefined;
  /** Never rejects. */
  readonly ended: Promise<Answer>;
  readonly #canceller = new Canceller();
  #change = Promise.withResolvers<void>();

  constructor({ given: _given, ...asked }: Asked, hash: string, work: (options: WorkOptions) => unknown) {
    this.asked = asked;
    this.hash = hash;
    this.ended = this.#run(work);
  }

  /** Resolves with its next progress, or its end. */
  get changed(): Promise<void> {
    return this.#change.promise;
  }

  /** What has not begun is taken back; an unpack ends as soon as it can. */
  cancel(reason: AbortReason): void {
    this.#canceller.cancel(reason);
  }

  async #run(work: (options: WorkOptions) => unknown): Promise<Answer> {
    const onProgress = (progress: unknown) => {
      this.progress = progress;
      this.#tell();
    };
    const answer = await answerOf(work, {
      operationId: this.asked.operationId,
      signal: this.#canceller.signal,
      onProgress,
    });
    this.answer = answer;
    this.endedAtMs = Date.now();
    this.#tell();
    return answer;
  }

  #tell(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve();
  }
}

async function answerOf(work: (options: WorkOptions) => unknown, options: WorkOptions): Promise<Answer> {
  try {
    return { outcome: "result", result: await work(options) };
  } catch (error) {
    return { outcome: "failure", failure: asSnapmillError(error) };
  }
}

/** `other`: the ID was used for something else. */
export interface Beginning {
  readonly kind: "begun" | "running" | "ended" | "other";
  readonly tracked: Tracked;
}

/** How many that have ended are remembered, and for how long. What the pool's worker journals is known for longer. */
const remembered = { count: 10_000, ms: 24 * 3_600_000 } as const;

export class OperationTracker {
  readonly #byId = new Map<OperationId, Tracked>();
  readonly #keep: typeof remembered;

  constructor(keep: typeof remembered = remembered) {
    this.#keep = keep;
  }

  find(operationId: OperationId): Tracked | undefined {
    return this.#byId.get(operationId);
  }

  /**
   * Begins `work`, unless the operation is running or has its answer. One that failed for a reason that may pass begins
   * anew.
   */
  begin(asked: Asked, work: (options: WorkOptions) => unknown): Beginning {
    const { operation, pool, given } = asked;
    const hash = payloadHash({ operation, pool, given });
    const known = this.#byId.get(asked.operationId);
    if (known !== undefined) {
      if (known.hash !== hash) return { kind: "other", tracked: known };
      if (known.answer === undefined) return { kind: "running", tracked: known };
      if (isFinal(known.answer)) return { kind: "ended", tracked: known };
      this.#byId.delete(asked.operationId);
    }
    this.#forget();
    const tracked = new Tracked(asked, hash, work);
    this.#byId.set(asked.operationId, tracked);
    return { kind: "begun", tracked };
  }

  /** The oldest first: a map is in the order of its insertions. */
  #forget(): void {
    const beforeMs = Date.now() - this.#keep.ms;
    let excess = this.#byId.size - this.#keep.count;
    for (const [operationId, { endedAtMs }] of this.#byId) {
      const isOld = endedAtMs !== undefined && endedAtMs < beforeMs;
      if (excess < 0 && !isOld) return;
      if (endedAtMs === undefined) continue;
      this.#byId.delete(operationId);
      excess -= 1;
    }
  }
}

const isFinal = (answer: Answer): boolean => answer.outcome === "result" || !isRetryable(answer.failure.code);
