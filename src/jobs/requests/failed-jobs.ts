// Room: jobs. Owns the reading of a queue's failed jobs, whatever lies there: each is what snapmill wrote, or damaged.
import type { Redis } from "ioredis";
import { decodeFailure, type SnapmillError } from "../../domain/errors.ts";
import { type OperationId, operationId } from "../../domain/identifiers.ts";
import { quoted } from "../../domain/quoted.ts";
import { isJobName, type JobName, parsePayload } from "../contract.ts";
import { openJobData } from "../job-data.ts";
import { type JobQueue, retention } from "../queues.ts";
import { asRedisFailure } from "../redis/failures.ts";
import { damageOf, excess } from "../stored-job.ts";
import { inBatches } from "./submissions.ts";

export type FailedJob = ReadableJob | DamagedJob;

export interface ReadableJob {
  readonly kind: "readable";
  readonly operationId: OperationId;
  readonly name: JobName;
  /** Parsed as that of `name`. */
  readonly payload: unknown;
  /** The number of the database that was meant: see addressee.ts. */
  readonly database: number | undefined;
  readonly failure: SnapmillError;
  readonly failedAtMs: number;
}

/** A failed job that no snapmill can have written. */
export interface DamagedJob {
  readonly kind: "damaged";
  /** As it lies in Redis: any text. */
  readonly jobId: string;
  readonly damage: string;
}

/** The latest first, those of one name alone if `name` is given, damaged ones in any case. Throws what Redis throws. */
export async function failedJobs(connection: Redis, queue: JobQueue, name?: JobName): Promise<FailedJob[]> {
  const ids = await connection.zrevrange(queue.toKey("failed"), 0, retention.removeOnFail.count - 1);
  const jobs = await inBatches(ids, (jobId) => readJob(connection, queue, jobId, name));
  return jobs.filter((job) => job !== undefined);
}

/** Has a failed job tried again, as often as at first. Throws what Redis throws. */
export async function retryFailedJob(queue: JobQueue, operationId: OperationId): Promise<void> {
  try {
    const job = await queue.getJob(operationId);
    await job?.retry("failed", { resetAttemptsMade: true, resetAttemptsStarted: true });
  } catch (error) {
    // Another was faster, and the job has left the failed ones: it is on its way.
    if (asRedisFailure(error).code === "unavailable") throw error;
  }
}

const wanted = ["name", "failedReason", "finishedOn", "timestamp"] as const;

async function readJob(
  connection: Redis,
  queue: JobQueue,
  jobId: string,
  only: JobName | undefined,
): Promise<FailedJob | undefined> {
  const key = queue.toKey(jobId);
  const damaged = (damage: string): DamagedJob => ({ kind: "damaged", jobId, damage });
  const [name, reason, ...times] = await connection.hmget(key, ...wanted);
  // It was begun anew, or removed, since the list was read.
  if (reason === null || reason === undefined) return undefined;
  if (typeof name !== "string" || !isJobName(name)) return damaged(`no job is called ${quoted(name ?? "")}`);
  if (only !== undefined && name !== only) return undefined;
  // The length is asked first: what is too long is not even fetched.
  const tooMuch = excess(await connection.hstrlen(key, "data"));
  if (tooMuch !== undefined) return damaged(tooMuch);
  const data = await connection.hget(key, "data");
  const damage = damageOf(data);
  if (damage !== undefined || data === null) return damaged(damage ?? "it has no data");
  try {
    const { payload: given, database } = openJobData(JSON.parse(data));
    const payload = parsePayload(name, given);
    const failedAtMs = Number(times.find((time) => time !== null && time !== undefined && Number(time) > 0) ?? 0);
    return {
      kind: "readable",
      operationId: operationId(jobId),
      name,
      payload,
      database,
      failure: decodeFailure(reason),
      failedAtMs,
    };
  } catch (error) {
    return damaged(error instanceof Error ? error.message : String(error));
  }
}
