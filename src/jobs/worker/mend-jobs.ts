// Room: jobs. Owns jobs whose fields BullMQ itself cannot read: it cannot hand them out, so they are made to fail.
import type { Redis } from "ioredis";
import { encodeFailure, invalidArgument } from "../../domain/errors.ts";
import type { JobQueue } from "../queues.ts";
import { inBatches } from "../requests/submissions.ts";

/** More jobs are not with workers at once. */
const mostActive = 1_000;

/** What BullMQ 6.7 parses of a job before a worker gets it; `rjk` is of repeated jobs, which snapmill does not have. */
const parsedFields = ["opts", "progress", "parent", "ats", "rjk"] as const;

/**
 * Looks through the jobs that were taken by workers, and mends those that BullMQ cannot parse so far that they fail, with
 * invalid_argument, when they are taken the next time: once their lock has run out. Left alone, each would be taken again
 * and again, and many together would keep the queue from all others. Returns the IDs. Throws what Redis throws.
 */
export async function mendUnreadableJobs(connection: Redis, queue: JobQueue): Promise<string[]> {
  const ids = await connection.lrange(queue.toKey("active"), 0, mostActive - 1);
  const mended = await inBatches(ids, (jobId) => mendIfUnreadable(connection, queue.toKey(jobId)));
  return ids.filter((_id, index) => mended[index]);
}

async function mendIfUnreadable(connection: Redis, key: string): Promise<boolean> {
  const [opts, progress, parent, started, repeatKey] = await connection.hmget(key, ...parsedFields);
  const damaged = [
    ...(isJson(opts) && JSON.parse(opts ?? "{}") !== null ? [] : ["opts"]),
    ...(isJson(progress) ? [] : ["progress"]),
    ...(isJson(parent) ? [] : ["parent"]),
    ...(/^\d{0,15}$/.test(started ?? "") ? [] : ["ats"]),
    ...(repeatKey === null || repeatKey === undefined ? [] : ["rjk"]),
  ];
  if (damaged.length === 0) return false;
  const fields = damaged.length === 1 ? `field ${damaged.join("")} is` : `fields ${damaged.join(", ")} are`;
  const failure = encodeFailure(invalidArgument(`this job was not written by snapmill: its ${fields} damaged`));
  await connection
    .multi()
    .hdel(key, ...damaged)
    .hset(key, "opts", "{}", "defa", failure)
    .exec();
  return true;
}

function isJson(text: string | null | undefined): boolean {
  try {
    JSON.parse(text ?? "null");
    return true;
  } catch {
    return false;
  }
}
