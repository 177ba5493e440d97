// Room: jobs. Owns the waits for a job's end: by its ID, each with a deadline and a caller who may walk away.
import { aborted, deadlineExceeded, type SnapmillError } from "../../domain/errors.ts";
import { startTimer, type Timer } from "../../domain/timers.ts";
import type { Submission } from "./submissions.ts";

export interface Waiting {
  /** How long to wait, from now. */
  readonly deadlineMs: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the job's progress, not yet parsed. */
  readonly onProgress?: ((progress: unknown) => void) | undefined;
  /** Ends the wait with `unavailable` when for about a second no worker has been there to execute the job. */
  readonly needsWorker?: boolean | undefined;
  /** Called when the wait has ended and the job perhaps not yet: see PoolCallOptions in client.ts. */
  readonly onLeft?: ((ended: Promise<void>) => void) | undefined;
}

/** Part of every message about a wait that ended before its job. */
export const askAgain = "it may still happen: ask again with the same operation ID";

const describe = ({ name, operationId }: Submission): string => `${name} ${operationId}`;

export class Waiter implements Disposable {
  readonly submission: Submission;
  readonly onProgress: ((progress: unknown) => void) | undefined;
  readonly needsWorker: boolean;
  /** The job's result, not yet parsed; rejects with a SnapmillError. */
  readonly outcome: Promise<unknown>;
  /** Set when the wait ended before the job is known to have ended: what `outcome` rejected with. */
  leaving: SnapmillError | undefined;
  /** Whether it ended because the caller walked away, or no worker is there to execute the job. */
  isGivenUp = false;
  readonly sinceMs = performance.now();
  /** Whether the job is known to be in the queue: earlier events may be those of a previous run. */
  isQueued = false;
  /** Whether an event came before that. */
  wasTouched = false;
  /** When to look at the job's state next, in case its event was lost. Milliseconds of `performance.now()`. */
  nextLookMs = 0;
  looks = 0;
  readonly #waiters: Waiters;
  readonly #settle: PromiseWithResolvers<unknown>;
  readonly #deadline: Timer;
  readonly #signal: AbortSignal | undefined;
  readonly #add: () => Promise<unknown>;
  #adding: Promise<void> | undefined;

  constructor(
    waiters: Waiters,
    submission: Submission,
    { deadlineMs, signal, onProgress, needsWorker }: Waiting,
    add: () => Promise<unknown>,
  ) {
    this.submission = submission;
    this.onProgress = onProgress;
    this.needsWorker = needsWorker === true;
    this.#waiters = waiters;
    this.#settle = Promise.withResolvers();
    this.outcome = this.#settle.promise;
    // It may be rejected before its opener awaits it.
    this.outcome.catch(() => undefined);
    this.#deadline = startTimer(deadlineMs, () => this.#expire(deadlineMs));
    this.#signal = signal;
    this.#add = add;
    signal?.addEventListener("abort", this.#cancel);
    if (signal?.aborted) this.#cancel();
  }

  /** The job has ended well. */
  resolve(value: unknown): void {
    this.#settle.resolve(value);
  }

  /** The job has failed. */
  fail(failure: SnapmillError): void {
    this.#settle.reject(failure);
  }

  /** The wait ends; nothing is known of the job. */
  leave(error: SnapmillError): void {
    this.leaving ??= error;
    this.#settle.reject(error);
  }

  /** The wait ends, and the job is to be taken back if that is possible. */
  giveUp(error: SnapmillError): void {
    this.isGivenUp = this.leaving === undefined;
    this.leave(error);
  }

  /** Has a job that Redis does not have added, unless that is under way. Never rejects: it is looked at again. */
  addAgain(): Promise<void> {
    this.#adding ??= this.#add()
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => {
        this.#adding = undefined;
      });
    return this.#adding;
  }

  [Symbol.dispose](): void {
    this.#deadline[Symbol.dispose]();
    this.#signal?.removeEventListener("abort", this.#cancel);
    this.#waiters.forget(this);
  }

  #expire(deadlineMs: number): void {
    this.leave(deadlineExceeded(`${describe(this.submission)} did not end within ${deadlineMs} ms; ${askAgain}`));
  }

  readonly #cancel = (): void => {
    this.giveUp(aborted(`waiting for ${describe(this.submission)} was given up; ${askAgain}`));
  };
}

/** All waiters on one queue. */
export class Waiters {
  readonly #byJob = new Map<string, Set<Waiter>>();

  get areNone(): boolean {
    return this.#byJob.size === 0;
  }

  /** `add`: adds the job (again), or has it added. */
  open(submission: Submission, waiting: Waiting, add: () => Promise<unknown>): Waiter {
    const waiter = new Waiter(this, submission, waiting, add);
    const others = this.#byJob.get(submission.operationId);
    if (others === undefined) this.#byJob.set(submission.operationId, new Set([waiter]));
    else others.add(waiter);
    return waiter;
  }

  of(jobId: string): Iterable<Waiter> {
    return this.#byJob.get(jobId) ?? [];
  }

  *all(): Generator<Waiter> {
    for (const waiters of this.#byJob.values()) yield* waiters;
  }

  forget(waiter: Waiter): void {
    const waiters = this.#byJob.get(waiter.submission.operationId);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#byJob.delete(waiter.submission.operationId);
  }

  /** Ends every wait with the error that `errorFor` makes of it. */
  leaveAll(errorFor: (job: string) => SnapmillError): void {
    for (const waiter of this.all()) waiter.leave(errorFor(describe(waiter.submission)));
  }
}
