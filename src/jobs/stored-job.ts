// Room: jobs. Owns the reading of jobs from Redis, where anything may have been written: a damaged job fails, its reader does not.
import { Job, type JobJson, type JobProgress, Queue, Worker } from "bullmq";
import { encodeFailure, invalidArgument } from "../domain/errors.ts";

/**
 * Bytes of a job's data as JSON. More than any job of ours has; what comes through containerd's socket is bounded by the
 * same number.
 */
export const maxJobBytes = 4 * 2 ** 20;

/** Why data of this length is refused; undefined: it is accepted. */
export const excess = (lengthBytes: number): string | undefined =>
  lengthBytes > maxJobBytes ? `its data has ${lengthBytes} bytes; the limit is ${maxJobBytes}` : undefined;

/** Why `data`, as stored in Redis, cannot be a job's payload; undefined: it can. */
export function damageOf(data: string | null | undefined): string | undefined {
  if (typeof data !== "string") return "it has no data";
  const tooMuch = excess(Buffer.byteLength(data));
  if (tooMuch !== undefined) return tooMuch;
  try {
    JSON.parse(data);
    return undefined;
  } catch {
    return "its data is not JSON";
  }
}

/**
 * A job whose data may be anything: data that is too long is not parsed, and data that is not JSON does not fail the
 * reader. The job's data is empty then, and a worker fails the job without executing it.
 */
class StoredJob<Data, Result, Name extends string, Progress extends JobProgress> extends Job<
  Data,
  Result,
  Name,
  Progress
> {
  static override fromJSON<Data, Result, Name extends string>(
    queue: Parameters<typeof Job.fromJSON>[0],
    json: JobJson,
    jobId?: string,
  ): Job<Data, Result, Name> {
    const damage = damageOf(json.data ?? "{}");
    const whole = { ...json, name: json.name ?? "(no name)" };
    if (damage === undefined) return Job.fromJSON<Data, Result, Name>(queue, whole, jobId);
    const deferredFailure = encodeFailure(invalidArgument(`this job was not written by snapmill: ${damage}`));
    return Job.fromJSON<Data, Result, Name>(queue, { ...whole, data: "{}", deferredFailure }, jobId);
  }
}

/** Queues and workers that read their jobs like this. */
export class StoredJobQueue extends Queue<object, unknown, string> {
  protected override get Job(): typeof Job {
    return StoredJob;
  }
}

export class StoredJobWorker extends Worker<object, unknown, string> {
  protected override get Job(): typeof Job {
    return StoredJob;
  }
}
