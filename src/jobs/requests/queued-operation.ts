// Room: jobs. Owns what the queues know of an operation by its ID.
import type { OperationId } from "../../domain/identifiers.ts";
import { type UnpackProgress, unpackProgress } from "../contract.ts";
import type { JobQueue } from "../queues.ts";
import { type JobState, jobState } from "./job-state.ts";

export interface QueuedOperation {
  readonly job: string;
  /** An unpack's, as its worker last told it. */
  readonly progress: UnpackProgress | undefined;
  readonly queuedAtMs: number;
  readonly endedAtMs: number | null;
  readonly stand: JobState;
}

/** Undefined: none of the queues knows it, or no longer. */
export async function queuedOperation(
  queues: readonly JobQueue[],
  operationId: OperationId,
): Promise<QueuedOperation | undefined> {
  for (const queue of queues) {
    const job = await queue.getJob(operationId);
    if (job === undefined) continue;
    return {
      job: job.name,
      progress: unpackProgress.safeParse(job.progress).data,
      queuedAtMs: job.timestamp,
      endedAtMs: job.finishedOn ?? null,
      stand: await jobState(queue, operationId),
    };
  }
  return undefined;
}
