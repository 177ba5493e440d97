// Room: jobs. Owns what a worker's metrics say of its jobs: how long each waited, how long it ran, how it ended.
import type { ErrorCode } from "../../domain/errors.ts";
import type { QueueKind } from "../../domain/queues.ts";
import { observed } from "../../domain/tally.ts";
import type { QueuedJob } from "../queues.ts";

/** A job that is retried, or that has lost a worker, says nothing of how long a job waits. */
export function observeWait(queue: QueueKind, job: string, { timestamp, attemptsStarted, delay = 0 }: QueuedJob): void {
  if (attemptsStarted > 1) return;
  // The caller's clock may be another host's.
  const waitedMs = Math.max(0, Date.now() - timestamp - delay);
  observed.observe("snapmill_job_wait_seconds", { queue, job }, waitedMs / 1000);
}

export const observeEnd = (operation: string, code: ErrorCode | "ok", spentMs: number): void =>
  observed.observe("snapmill_operation_duration_seconds", { operation, code }, spentMs / 1000);
