// Room: jobs. Owns what a handler gets besides its payload, and keeps its progress reports from holding up its work.
import { AbortReason } from "../../domain/cancellation.ts";
import { type OperationId, operationId } from "../../domain/identifiers.ts";
import { inTime } from "../../domain/timers.ts";
import type { TimedProgress } from "../contract.ts";
import { lockDurationMs, type QueuedJob } from "../queues.ts";
import { asRedisFailure } from "../redis/failures.ts";

export interface JobSignals {
  /** Aborts on `closeNow`. */
  readonly stopping: AbortSignal;
  /** Aborts when the queue may have given the job to another worker: for work that is handed over rather than discarded. */
  readonly lockLost: AbortSignal;
}

export interface JobContext extends JobSignals {
  readonly operationId: OperationId;
  /** 1 the first time; runs whose worker died are not counted. */
  readonly attempt: number;
  /** Whether the job is not tried again when this attempt fails. */
  readonly isLastAttempt: boolean;
  /** Aborts with either of the two, with an AbortReason. */
  readonly signal: AbortSignal;
  /**
   * Throws unless the job is this worker's at this moment: asked before a failure is made final elsewhere than in the
   * queue. An AbortReason when it is being stopped or its lock is lost; `unavailable` when Redis does not answer.
   */
  requireOwn(): Promise<void>;
  /** Shows how far the job is. Never fails, never waits: of several reports in quick succession, the last one counts. */
  progress(progress: TimedProgress): Promise<void>;
  /** Writes a line into the job's log, which the dashboard shows. Never fails, never waits. */
  log(line: string): Promise<void>;
  /** No more progress follows: what was shown last goes at once, and the job's end does not wait for it. */
  lastProgress(): void;
}

/** Between two reports: that of an image of many layers is long, and each one is stored, and read by all who follow. */
const reportPauseMs = 100;
/** How long a finished job waits for its last report to arrive. */
const flushTimeoutMs = 1_000;

/** The reports of one job. They are best effort: if Redis does not take them, the work goes on. */
export class Reports {
  readonly #job: QueuedJob;
  #latest: TimedProgress | undefined;
  #sending: Promise<void> | undefined;
  #logged: Promise<unknown> | undefined;
  /** Resolves once no report is to wait any more. */
  readonly #ending = Promise.withResolvers<void>();

  constructor(job: QueuedJob) {
    this.#job = job;
  }

  progress(progress: TimedProgress): void {
    this.#latest = progress;
    this.#sending ??= this.#send();
  }

  log(line: string): void {
    // One connection keeps their order, so that none waits for the answer to the one before.
    const logged = this.#job.log(line).catch(() => undefined);
    this.#logged = Promise.all([this.#logged, logged]);
  }

  /** What waits for its turn has it now. */
  hurry(): void {
    this.#ending.resolve();
  }

  /** Resolves when all reports have arrived, so that none comes after the job's end; bounded. */
  async flush(): Promise<void> {
    this.hurry();
    // Most jobs report nothing: they need no timer.
    if (this.#sending === undefined && this.#logged === undefined) return;
    await inTime(flushTimeoutMs, Promise.all([this.#sending, this.#logged]));
  }

  async #send(): Promise<void> {
    try {
      while (this.#latest !== undefined) {
        const progress = this.#latest;
        this.#latest = undefined;
        await this.#job.updateProgress(progress);
        await Promise.race([this.#ending.promise, Bun.sleep(reportPauseMs)]);
      }
    } catch {
      // The next report may get through.
    } finally {
      this.#sending = undefined;
    }
  }
}

export const jobContext = (job: QueuedJob, reports: Reports, signals: JobSignals): JobContext => ({
  ...signals,
  operationId: operationId(job.id ?? ""),
  attempt: job.attemptsMade + 1,
  isLastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? 1),
  signal: AbortSignal.any([signals.stopping, signals.lockLost]),
  requireOwn: () => requireOwn(job, signals),
  progress: async (progress) => reports.progress(progress),
  log: async (line) => reports.log(line),
  lastProgress: () => reports.hurry(),
});

async function requireOwn(job: QueuedJob, { stopping, lockLost }: JobSignals): Promise<void> {
  stopping.throwIfAborted();
  lockLost.throwIfAborted();
  const extended = await job.extendLock(job.token ?? "", lockDurationMs).catch((error: unknown) => {
    throw asRedisFailure(error);
  });
  if (extended !== 1) throw new AbortReason("lock_lost", "this worker's lock on the job has run out");
}
