// Room: workers. Owns what is written down of an attempt at a device's removal that failed.
import type { Backoff } from "../src/domain/backoff.ts";
import { asSnapmillError, isRetryable } from "../src/domain/errors.ts";
import { observed } from "../src/domain/tally.ts";
import { removalPauseMs } from "../src/jobs/queues.ts";
import type { JobContext } from "../src/jobs/worker/job-context.ts";
import type { Logger } from "../src/logger.ts";
import { type Database, transactSoon } from "../src/metadata/database.ts";
import { noteRemovalFailure } from "../src/metadata/pending-removals.ts";

export interface RemovalAttempt {
  readonly job: JobContext;
  readonly database: Database;
  readonly pauses: Backoff;
  readonly log: Logger;
}

/** Runs an attempt; its failure is in the database before the queue learns of it, so that it survives Redis. */
export async function attemptRemoval<T>(run: () => Promise<T>, attempt: RemovalAttempt): Promise<T> {
  try {
    const done = await run();
    observed.count("snapmill_removal_attempts_total", { result: "removed" });
    return done;
  } catch (error) {
    // An attempt that is taken from this worker is made again, and does not count.
    if (!attempt.job.signal.aborted) note(attempt, error);
    throw error;
  }
}

function note({ job, database, pauses, log }: RemovalAttempt, error: unknown): void {
  const { code, message } = asSnapmillError(error);
  const isGivenUp = job.isLastAttempt || !isRetryable(code);
  observed.count("snapmill_removal_attempts_total", { result: isGivenUp ? "given_up" : "retried" });
  const atMs = Date.now();
  const nextTryAtMs = isGivenUp ? undefined : atMs + removalPauseMs(pauses, job.operationId, job.attempt);
  if (isGivenUp) log.warn({ operationId: job.operationId }, `given up after ${job.attempt} attempts: ${message}`);
  try {
    transactSoon(database, () => noteRemovalFailure(database, job.operationId, { message, atMs, nextTryAtMs }));
  } catch (cause) {
    log.warn({ err: cause, operationId: job.operationId }, "the failure of a removal could not be written down");
  }
}
