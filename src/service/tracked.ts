// Room: service. Owns an operation that runs here: what was asked, its progress, its end, and its cancellation.
import { type AbortReason, Canceller } from "../domain/cancellation.ts";
import { asSnapmillError } from "../domain/errors.ts";
import type { OperationId, PoolName } from "../domain/identifiers.ts";
import type { Recovery } from "../domain/recovery.ts";
import type { Answer } from "../metadata/journal.ts";

export type { Answer };

/** What is asked for: the same under one ID is a repetition, anything else a caller's mistake. */
export interface Asked {
  readonly operationId: OperationId;
  /** Whether its caller has given a key, and so may ask again. */
  readonly isKeyed: boolean;
  readonly tokenName: string;
  /** Its name in service/api.ts. */
  readonly operation: string;
  /** Undefined: of the host. */
  readonly pool: PoolName | undefined;
  /** What becomes of it when `up` ends while it runs. */
  readonly recovery: Recovery;
}

/** What the work of an operation is given. */
export interface WorkOptions {
  readonly operationId: OperationId;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: unknown) => void;
}

type Work = (options: WorkOptions) => unknown;

export class Tracked {
  readonly asked: Asked;
  readonly digest: string;
  readonly startedAtMs = Date.now();
  endedAtMs: number | undefined;
  /** As its work last told it. */
  progress: unknown;
  /** Undefined: it is running. */
  answer: Answer | undefined;
  /** Never rejects. */
  readonly ended: Promise<Answer>;
  readonly #canceller = new Canceller();
  readonly #onEnded: (ended: Tracked) => void;
  #change = Promise.withResolvers<void>();

  /** `onEnded` is called before anyone else learns of the end. */
  constructor(asked: Asked, digest: string, work: Work, onEnded: (ended: Tracked) => void) {
    this.asked = asked;
    this.digest = digest;
    this.#onEnded = onEnded;
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

  async #run(work: Work): Promise<Answer> {
    const onProgress = (progress: unknown) => {
      this.progress = progress;
      this.#tell();
    };
    const { operationId } = this.asked;
    const answer = await answerOf(work, { operationId, signal: this.#canceller.signal, onProgress });
    this.endedAtMs = Date.now();
    this.answer = answer;
    this.#onEnded(this);
    this.#tell();
    return answer;
  }

  #tell(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve();
  }
}

async function answerOf(work: Work, options: WorkOptions): Promise<Answer> {
  try {
    return { outcome: "result", result: await work(options) };
  } catch (error) {
    return { outcome: "failure", failure: asSnapmillError(error) };
  }
}
