// Room: jobs. Owns how jobs get into a queue: in few round trips for many callers, and never two jobs of one ID.
import type { Redis } from "ioredis";
import type { OperationId } from "../../domain/identifiers.ts";
import type { Traceparent } from "../../domain/traceparent.ts";
import { apartFromWork, fieldsOf, inWork, traceparent } from "../../domain/work.ts";
import type { JobName } from "../contract.ts";
import { jobData, openJobData } from "../job-data.ts";
import type { JobQueue } from "../queues.ts";

/** One job to be. Its ID is the operation's. */
export interface Submission {
  readonly name: JobName;
  readonly operationId: OperationId;
  readonly payload: object;
  /** The number of the database that is meant: see addressee.ts. */
  readonly database: number | undefined;
  /** Whether the ID was made for this call, so that no job can have it already. */
  readonly isFresh: boolean;
  /** How often it is tried in all. Default: the queue's. */
  readonly attempts?: number | undefined;
  /** Goes before all that waits. */
  readonly isUrgent?: boolean | undefined;
  /** 1 goes first; default: before all that have one. */
  readonly priority?: number | undefined;
  /** The traceparent of the trace that it is part of. Default: that of the work under way. */
  readonly trace?: string | undefined;
}

/** What the queue has under a job's ID already. */
export interface StoredJob {
  readonly name: string;
  readonly payload: unknown;
  readonly database: number | undefined;
}

interface Pending {
  readonly submission: Submission;
  /** Of the work that adds it. */
  readonly traceparent: Traceparent | undefined;
  readonly resolve: (stored: StoredJob | undefined) => void;
  readonly reject: (error: unknown) => void;
}

type BulkJob = Parameters<JobQueue["addBulk"]>[0][number];

/** Batches under way at once: with one alone, Redis would idle while its answer travels. */
const maxFlights = 2;
const maxBatchSize = 128;
/** At once. */
const maxLooks = 250;

/**
 * Adds jobs in batches: those that come while a batch is on its way go with the next one. A single caller pays one round
 * trip, and with a thousand at once each is answered well within its time limit.
 */
export class Submissions {
  readonly #connection: Redis;
  readonly #queue: JobQueue;
  #pending: Pending[] = [];
  #flights = 0;

  constructor(connection: Redis, queue: JobQueue) {
    this.#connection = connection;
    this.#queue = queue;
  }

  /** Adds a job, unless Redis has one of that ID, in whatever state: then it changes nothing and returns that one. */
  add(submission: Submission): Promise<StoredJob | undefined> {
    const { name, operationId, payload, trace } = submission;
    const fields = { ...fieldsOf(payload), operationId, job: name };
    return inWork({ name: `enqueue ${name}`, kind: "producer", parent: trace, fields }, () => {
      const { promise, resolve, reject } = Promise.withResolvers<StoredJob | undefined>();
      this.#pending.push({ submission, traceparent: traceparent(), resolve, reject });
      apartFromWork(() => this.#depart());
      return promise;
    });
  }

  #depart(): void {
    while (this.#flights < maxFlights && this.#pending.length > 0) {
      const batch = this.#pending.splice(0, maxBatchSize);
      this.#flights += 1;
      void this.#fly(batch).finally(() => {
        this.#flights -= 1;
        this.#depart();
      });
    }
  }

  async #fly(batch: readonly Pending[]): Promise<void> {
    try {
      // In this order on one connection: BullMQ silently ignores an ID that it has already.
      const looks = batch.map(({ submission }) => this.#stored(submission));
      const added = this.#add(batch.map(asJob));
      const [stored] = await Promise.all([Promise.all(looks), added]);
      batch.forEach(({ resolve }, index) => {
        resolve(stored[index]);
      });
    } catch (error) {
      // Those behind would fail as well: they do not wait for Redis one batch after the other.
      for (const { reject } of [...batch, ...this.#pending.splice(0)]) reject(error);
    }
  }

  /** Several go in one transaction of Redis; a single one is spared that. */
  #add(jobs: readonly BulkJob[]): Promise<unknown> {
    const [first, ...others] = jobs;
    if (first === undefined || others.length > 0) return this.#queue.addBulk([...jobs]);
    return this.#queue.add(first.name, first.data, first.opts);
  }

  async #stored({ operationId, isFresh }: Submission): Promise<StoredJob | undefined> {
    if (isFresh) return undefined;
    const [name, data] = await this.#connection.hmget(this.#queue.toKey(operationId), "name", "data");
    return typeof name === "string" && typeof data === "string" ? { name, ...openJobData(parsed(data)) } : undefined;
  }
}

/** Undefined for what is not JSON: it differs from every payload. */
function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

/**
 * Those of `entries` that Redis has no job for. Call it before adding jobs that are probably there: BullMQ sends every
 * client an event for a job that is added twice.
 */
export async function withoutJob<E extends { readonly operationId: OperationId }>(
  connection: Redis,
  queue: JobQueue,
  entries: readonly E[],
): Promise<E[]> {
  const known = await inBatches(entries, ({ operationId }) => connection.exists(queue.toKey(operationId)));
  return entries.filter((_entry, index) => known[index] === 0);
}

/** What `look` answers for each of `entries`, asked in batches: each answer must come within the time that one may take. */
export async function inBatches<E, T>(entries: readonly E[], look: (entry: E) => Promise<T>): Promise<T[]> {
  const answers: T[] = [];
  for (let at = 0; at < entries.length; at += maxLooks) {
    answers.push(...(await Promise.all(entries.slice(at, at + maxLooks).map(look))));
  }
  return answers;
}

const asJob = ({ submission, traceparent: trace }: Pending): BulkJob => {
  const { name, operationId, payload, database, attempts, isUrgent, priority } = submission;
  return {
    name,
    data: jobData(payload, { database, traceparent: trace }),
    opts: {
      jobId: operationId,
      ...(attempts !== undefined && { attempts }),
      ...(isUrgent === true && { lifo: true }),
      ...(priority !== undefined && { priority }),
    },
  };
};
