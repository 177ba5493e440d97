// Room: jobs. Owns the execution of jobs that the queue handed out: one run per operation, and how its failure is reported.
import { UnrecoverableError, WaitingError } from "bullmq";
import { AbortReason, Canceller } from "../../domain/cancellation.ts";
import { asSnapmillError, encodeFailure, invalidArgument, isRetryable } from "../../domain/errors.ts";
import type { QueueKind } from "../../domain/queues.ts";
import { type ClaimGuard, NotMine } from "../claims/claim-guard.ts";
import type { QueuedJob } from "../queues.ts";
import type { Runners } from "./handlers.ts";
import { type JobSignals, jobContext, Reports } from "./job-context.ts";
import { inJob } from "./job-work.ts";
import { observeEnd, observeWait } from "./observe.ts";

interface Run {
  readonly outcome: Promise<unknown>;
  readonly stopping: Canceller;
  readonly lockLost: Canceller;
  /** How long it took, once it has ended: BullMQ may ask for its outcome only later. */
  spentMs: number;
}

const isStopped = new AbortReason("stopping", "this worker is being stopped");
const lostItsLock = new AbortReason("lock_lost", "this worker's lock on the job is lost");

export class Executor {
  readonly #kind: QueueKind;
  readonly #runners: Runners;
  readonly #guard: Pick<ClaimGuard, "doubt">;
  readonly #onError: (error: Error) => void;
  readonly #runs = new Map<string, Run>();
  /** Runs that began before BullMQ asked for them, kept until it does. */
  readonly #begun = new Map<string, Run>();
  #isStopping = false;

  constructor(kind: QueueKind, runners: Runners, guard: Pick<ClaimGuard, "doubt">, onError: (error: Error) => void) {
    this.#kind = kind;
    this.#runners = runners;
    this.#guard = guard;
    this.#onError = onError;
  }

  get isIdle(): boolean {
    return this.#runs.size === 0 && this.#begun.size === 0;
  }

  /**
   * Begins a job that BullMQ has just fetched: BullMQ asks for its execution only after it has looked for another job, a
   * round trip later.
   */
  begin(job: QueuedJob): void {
    // Such a job fails without being executed.
    const isCondemned = job.deferredFailure !== undefined && job.deferredFailure !== "";
    if (this.#isStopping || isCondemned) return;
    const run = this.#run(job);
    this.#begun.set(job.id ?? "", run);
    // `execute` throws it; until then it must not count as unhandled.
    run.outcome.catch(() => undefined);
  }

  /** Aborts all runs. Jobs that fail, or are handed out, from now on go back into the queue. */
  stop(): void {
    this.#isStopping = true;
    for (const { stopping } of this.#runs.values()) stopping.cancel(isStopped);
  }

  /** Aborts a run's `lockLost`: the queue may have given the job to another worker. */
  lockLost(jobId: string): void {
    this.#runs.get(jobId)?.lockLost.cancel(lostItsLock);
  }

  /** Executes a job that the queue handed out, and returns its result; throws its failure in the form that BullMQ expects. */
  async execute(job: QueuedJob, token: string | undefined): Promise<unknown> {
    if (this.#isStopping) return await giveBack(job, token);
    const run = this.#taken(job);
    try {
      const result = await run.outcome;
      observeEnd(this.#nameOf(job), "ok", run.spentMs);
      return result;
    } catch (error) {
      if (this.#isStopping || run.lockLost.isCancelled || error instanceof NotMine) return await giveBack(job, token);
      observeEnd(this.#nameOf(job), asSnapmillError(error).code, run.spentMs);
      throw this.#asJobFailure(error);
    }
  }

  #taken(job: QueuedJob): Run {
    const run = this.#begun.get(job.id ?? "") ?? this.#run(job);
    this.#begun.delete(job.id ?? "");
    return run;
  }

  /** The job's run. A Redis that lost the job may hand it out again while it still runs here: that joins the run. */
  #run(job: QueuedJob): Run {
    const jobId = job.id ?? "";
    const running = this.#runs.get(jobId);
    if (running !== undefined) return running;
    observeWait(this.#kind, this.#nameOf(job), job);
    const startedMs = performance.now();
    const [stopping, lockLost] = [new Canceller(), new Canceller()];
    const signals = { stopping: stopping.signal, lockLost: lockLost.signal };
    const outcome = inJob(job, () => this.#handle(job, signals)).finally(() => {
      this.#runs.delete(jobId);
      run.spentMs = performance.now() - startedMs;
    });
    const run: Run = { outcome, stopping, lockLost, spentMs: 0 };
    this.#runs.set(jobId, run);
    return run;
  }

  /** A name that no snapmill has given a job is anything at all. */
  #nameOf(job: QueuedJob): string {
    return this.#runners.has(job.name) ? job.name : "unknown";
  }

  async #handle(job: QueuedJob, signals: JobSignals): Promise<unknown> {
    const reports = new Reports(job);
    try {
      const doubt = this.#guard.doubt(job);
      if (doubt !== undefined) await doubt;
      const runner = this.#runners.get(job.name);
      if (runner === undefined)
        throw invalidArgument(`there is no job named ${JSON.stringify(job.name)} on this queue`);
      return await runner(job.data, jobContext(job, reports, signals));
    } finally {
      await reports.flush();
    }
  }

  /** Only an error's message crosses the queue; an unrecoverable one is not tried again. */
  #asJobFailure(error: unknown): Error {
    const failure = asSnapmillError(error);
    if (failure.code === "internal") this.#onError(failure);
    const text = encodeFailure(failure);
    const thrown = isRetryable(failure.code) ? new Error(text) : new UnrecoverableError(text);
    thrown.stack = failure.stack ?? text;
    return thrown;
  }
}

/**
 * A run that was stopped, or lost its lock, says nothing about the job: the job goes back into the queue, and no attempt is
 * counted. Where that is impossible (Redis is away, another worker has the job) BullMQ's check for stalled jobs finds it.
 */
async function giveBack(job: QueuedJob, token: string | undefined): Promise<never> {
  await job.moveToWait(token).catch(() => undefined);
  throw new WaitingError();
}
