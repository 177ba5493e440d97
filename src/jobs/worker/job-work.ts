// Room: jobs. Owns how a job shows in logs and traces: each of its attempts is work, in the trace of whoever asked for it.
import { fieldsOf, inWork, isTracing, type WorkFields, workEnded } from "../../domain/work.ts";
import { isJobName } from "../contract.ts";
import { openJobData } from "../job-data.ts";
import type { QueuedJob } from "../queues.ts";

/** Runs `attempt`, one at the job, as work. */
export function inJob<T>(job: QueuedJob, attempt: () => T): T {
  const { payload, traceparent: parent } = openJobData(job.data);
  const name = isJobName(job.name) ? job.name : "(unknown)";
  const fields: WorkFields = { ...fieldsOf(payload), operationId: job.id, job: name };
  if (isTracing() && job.attemptsStarted <= 1) tellWait(job, { name, parent, fields });
  const attributes = {
    "snapmill.attempt": job.attemptsMade + 1,
    // Attempts whose worker was lost have no span of their own: it would have been sent at their end.
    "snapmill.attempts_begun": job.attemptsStarted,
  };
  return inWork({ name: `job ${name}`, kind: "consumer", parent, fields, attributes }, attempt);
}

interface JobWork {
  readonly name: string;
  readonly parent: string | undefined;
  readonly fields: WorkFields;
}

/** The time in the queue, up to the first attempt. The clock of the one who added the job may be ahead of this one. */
function tellWait(job: QueuedJob, { name, parent, fields }: JobWork): void {
  const endMs = Date.now();
  workEnded({ name: `wait ${name}`, kind: "consumer", parent, fields, startMs: Math.min(job.timestamp, endMs), endMs });
}
