// Room: jobs. Owns the unpacks that workers execute at this moment, as their queue has them.
import { z } from "zod";
import { type OperationId, operationId } from "../../domain/identifiers.ts";
import type { RegistryOptions } from "../../domain/registry-options.ts";
import { type TimedProgress, timedProgress, unpackRequest } from "../contract.ts";
import { openJobData } from "../job-data.ts";
import type { JobQueue, QueuedJob } from "../queues.ts";

export interface QueuedUnpack {
  readonly operationId: OperationId;
  readonly reference: string;
  readonly platform: string | null;
  readonly registry: RegistryOptions | null;
  readonly queuedAtMs: number;
  /** Of this attempt; null: it waits. */
  readonly startedAtMs: number | null;
  /** 1 the first time. */
  readonly attempt: number;
  /** As its worker last told it. */
  readonly progress: TimedProgress | undefined;
}

/** More workers than that has no host. */
const mostUnpacks = 64;

export async function activeUnpacks(queue: JobQueue): Promise<QueuedUnpack[]> {
  const jobs = await queue.getActive(0, mostUnpacks - 1);
  return jobs.flatMap((job) => asUnpack(job) ?? []);
}

/** Undefined: it is no unpack that snapmill has written. */
export function asUnpack(job: QueuedJob | undefined): QueuedUnpack | undefined {
  // A job that has ended meanwhile is missing.
  if (job === undefined || job.name !== "unpack" || job.id === undefined) return undefined;
  const asked = z.object(unpackRequest).safeParse(openJobData(job.data).payload).data;
  if (asked === undefined) return undefined;
  return {
    operationId: operationId(job.id),
    reference: asked.reference,
    platform: asked.platform ?? null,
    registry: asked.registry ?? null,
    queuedAtMs: job.timestamp,
    startedAtMs: job.processedOn ?? null,
    attempt: Math.max(1, job.attemptsMade + 1),
    progress: timedProgress.safeParse(job.progress).data,
  };
}
