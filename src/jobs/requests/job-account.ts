// Room: jobs. Owns all that the queues know of one job, by its operation: payload, attempts, what they threw, its log.
import type { OperationId } from "../../domain/identifiers.ts";
import { openJobData } from "../job-data.ts";
import type { JobQueue } from "../queues.ts";

export interface JobAccount {
  readonly job: string;
  readonly payload: unknown;
  /** Unchecked, as it was read. */
  readonly traceparent: string | undefined;
  /** Attempts that have failed, or are the last. */
  readonly attempts: number;
  /** With those whose worker died, or gave it back. */
  readonly begun: number;
  readonly mostAttempts: number;
  readonly queuedAtMs: number;
  /** When a worker took it, the last time. */
  readonly takenAtMs: number | null;
  readonly endedAtMs: number | null;
  /** What the last attempts that failed have thrown, oldest first. */
  readonly stacks: readonly string[];
  /** The last lines of its log, and how many there are. */
  readonly log: { readonly lines: readonly string[]; readonly count: number };
}

const mostLines = 200;

/** Undefined: none of the queues knows it, or no longer. */
export async function jobAccount(
  queues: readonly JobQueue[],
  operationId: OperationId,
): Promise<JobAccount | undefined> {
  for (const queue of queues) {
    const job = await queue.getJob(operationId);
    if (job === undefined) continue;
    const { payload, traceparent } = openJobData(job.data);
    const { logs, count } = await queue.getJobLogs(operationId, -mostLines, -1);
    return {
      job: job.name,
      payload,
      traceparent,
      attempts: job.attemptsMade,
      begun: job.attemptsStarted,
      mostAttempts: job.opts.attempts ?? 1,
      queuedAtMs: job.timestamp,
      takenAtMs: job.processedOn ?? null,
      endedAtMs: job.finishedOn ?? null,
      stacks: (job.stacktrace as readonly string[] | null) ?? [],
      log: { lines: logs, count },
    };
  }
  return undefined;
}
