// Room: jobs. Owns the client side of one queue: a job goes in and its end comes back, whatever happens in between.
import type { Redis } from "ioredis";
import {
  aborted,
  asSnapmillError,
  invalidArgument,
  isRetryable,
  type SnapmillError,
  unavailable,
} from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import type { QueueKind } from "../../domain/queues.ts";
import { boundToWork, fieldsOf, inWork } from "../../domain/work.ts";
import { isSameDatabase } from "../claims/addressee.ts";
import { openJobData } from "../job-data.ts";
import { type JobQueue, openQueue } from "../queues.ts";
import { asRedisFailure, RedisAway } from "../redis/failures.ts";
import { excess } from "../stored-job.ts";
import { cancelJob, followToItsEnd } from "./cancel-job.ts";
import { EventReader } from "./event-reader.ts";
import { retryFailedJob } from "./failed-jobs.ts";
import { JobPoller } from "./job-poller.ts";
import { type JobState, jobState } from "./job-state.ts";
import { type StoredJob, type Submission, Submissions } from "./submissions.ts";
import { askAgain, type Waiter, Waiters, type Waiting } from "./waiters.ts";
import { WorkerLiveness } from "./worker-liveness.ts";

/** Whether a worker is there is checked for waits that have lasted this long: most are over long before. */
const checkedAfterMs = 400;
/** How often taking a job back is tried while Redis does not answer: a second each. */
const takeBackAttempts = 3;

export class RequestClient implements AsyncDisposable {
  readonly queue: JobQueue;
  readonly #connection: Redis;
  readonly #submissions: Submissions;
  readonly #waiters = new Waiters();
  readonly #events: EventReader;
  readonly #poller: JobPoller;
  readonly #liveness: WorkerLiveness;
  #isClosed = false;

  private constructor(connection: Redis, queue: JobQueue, redisUrl: string, pool: PoolName, kind: QueueKind) {
    this.queue = queue;
    this.#connection = connection;
    this.#submissions = new Submissions(connection, queue);
    this.#liveness = new WorkerLiveness(queue, connection);
    this.#poller = new JobPoller({
      waiters: this.#waiters,
      ping: () => this.#ping(),
      look: (waiter) => this.#lookAfter(waiter),
      checkWorkers: () => this.#checkWorkers(),
      outage: () =>
        this.#waiters.leaveAll((job) => new RedisAway(`Redis went away while ${job} was waited for; ${askAgain}`)),
    });
    const isNeeded = () => !this.#waiters.areNone;
    this.#events = new EventReader(
      redisUrl,
      { pool, kind, isNeeded },
      {
        completed: (jobId, result) => this.#onEnd(jobId, (waiter) => waiter.resolve(result)),
        failed: (jobId) => this.#onEnd(jobId, (waiter) => void this.#look(waiter)),
        progress: (jobId, progress) => {
          for (const waiter of this.#waiters.of(jobId)) waiter.onProgress?.(progress);
        },
      },
    );
  }

  static async open(connection: Redis, redisUrl: string, pool: PoolName, kind: QueueKind): Promise<RequestClient> {
    return new RequestClient(connection, await openQueue(connection, pool, kind), redisUrl, pool, kind);
  }

  /**
   * Has a job executed and returns its result, unparsed. A job of that ID that Redis still keeps is not executed again:
   * its result is returned, its failure thrown, unless a retry may help; then it is tried again. Of another name or
   * payload, or too large: invalid_argument. `unavailable` when Redis or (if it is needed) the worker is away,
   * `deadline_exceeded`, and `aborted` by the caller: a job that has not begun then is taken back.
   */
  run(submission: Submission, waiting: Waiting): Promise<unknown> {
    return inCall(submission, () => this.#run(submission, waiting));
  }

  async #run(submission: Submission, waiting: Waiting): Promise<unknown> {
    requireFit(submission);
    const add = boundToWork(() => this.#submissions.add(submission));
    using waiter = this.#waiters.open(submission, waiting, add);
    this.#events.wake();
    const submitted = waiter.leaving === undefined ? this.#submit(waiter) : Promise.resolve();
    try {
      return await waiter.outcome;
    } catch (error) {
      const { leaving } = waiter;
      if (leaving === undefined || error !== leaving) throw error;
      if (waiter.isGivenUp) {
        await submitted;
        if (await this.#takeBack(waiter)) throw takenBack(submission, leaving);
      }
      const isOver = () => this.#isClosed;
      waiting.onLeft?.(followToItsEnd(this.#connection, this.queue, submission.operationId, isOver));
      throw leaving;
    }
  }

  /**
   * Waits for a job that another process adds, and returns its result, unparsed. While Redis does not have the job,
   * `demand` is called from time to time, which is to have it added; its failure, unless a retry may help, ends the wait.
   * Otherwise throws as `run` does; a job that has not begun is left in the queue.
   */
  follow(submission: Submission, waiting: Waiting, demand: () => Promise<unknown>): Promise<unknown> {
    return inCall(submission, () => this.#follow(submission, waiting, demand));
  }

  async #follow(submission: Submission, waiting: Waiting, demand: () => Promise<unknown>): Promise<unknown> {
    const demandAgain = async () => {
      await demand().catch((error: unknown) => {
        const failure = asSnapmillError(error);
        if (!isRetryable(failure.code)) waiter.fail(failure);
      });
    };
    using waiter = this.#waiters.open(submission, waiting, boundToWork(demandAgain));
    waiter.isQueued = true;
    this.#poller.begin(waiter);
    this.#events.wake();
    // It may have ended before, and its event be too old to be read.
    void this.#look(waiter);
    return await waiter.outcome;
  }

  /** How the job stands; invalid_argument if one of its ID is another. */
  async jobState(submission: Submission): Promise<JobState> {
    try {
      const job = await this.queue.getJob(submission.operationId);
      if (job === undefined) return { state: "lost" };
      const stored = { name: job.name, ...openJobData(job.data) };
      if (!isSame(submission, stored)) throw usedOtherwise(submission, stored);
      return await jobState(this.queue, submission.operationId);
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#poller[Symbol.dispose]();
    this.#waiters.leaveAll((job) => aborted(`the client was closed while ${job} was waited for; ${askAgain}`));
    this.#events[Symbol.dispose]();
    await this.queue.close().catch(() => undefined);
  }

  async #submit(waiter: Waiter): Promise<void> {
    const { submission } = waiter;
    try {
      const stored = await this.#submissions.add(submission);
      this.#poller.heard();
      if (stored !== undefined) {
        if (!isSame(submission, stored)) return waiter.fail(usedOtherwise(submission, stored));
        await this.#retryIfUseful(submission);
      }
      this.#poller.begin(waiter);
      waiter.isQueued = true;
      if (stored !== undefined || waiter.wasTouched) await this.#look(waiter);
    } catch (error) {
      waiter.leave(asRedisFailure(error));
    }
  }

  async #retryIfUseful(submission: Submission): Promise<void> {
    const kept = await jobState(this.queue, submission.operationId);
    if (kept.state !== "failed" || !isRetryable(kept.failure.code)) return;
    await retryFailedJob(this.queue, submission.operationId);
  }

  #onEnd(jobId: string, end: (waiter: Waiter) => void): void {
    this.#poller.heard();
    for (const waiter of this.#waiters.of(jobId)) {
      if (waiter.isQueued) end(waiter);
      else waiter.wasTouched = true;
    }
  }

  /** A job that Redis lost, or kept no longer, is added again: its worker knows by its ID whether it was done already. */
  async #lookAfter(waiter: Waiter): Promise<void> {
    // One that was left may just have been taken back.
    if ((await this.#look(waiter)) === "lost" && waiter.leaving === undefined) await waiter.addAgain();
  }

  /** Ends the wait if the job has ended. Never rejects. */
  async #look(waiter: Waiter): Promise<JobState["state"] | undefined> {
    const { submission } = waiter;
    try {
      const found = await jobState(this.queue, submission.operationId);
      this.#poller.heard();
      switch (found.state) {
        case "completed":
          waiter.resolve(found.result);
          break;
        case "failed":
          waiter.fail(found.failure);
          break;
        case "lost":
        case "pending":
          break;
      }
      return found.state;
    } catch {
      // The poller looks again, and knows when to give up.
      return undefined;
    }
  }

  /** Ends the waits that need a worker while none is there, except those that have only begun. */
  async #checkWorkers(): Promise<void> {
    const nowMs = performance.now();
    const waiters = [...this.#waiters.all()].filter((w) => w.needsWorker && nowMs - w.sinceMs > checkedAfterMs);
    if (waiters.length === 0) return;
    try {
      const reason = await this.#liveness.absence();
      if (reason === undefined) return;
      for (const waiter of waiters) waiter.giveUp(unavailable(`${reason}; ${askAgain}`));
    } catch {
      // The poller notices a Redis that is away.
    }
  }

  async #ping(): Promise<void> {
    try {
      await this.#connection.ping();
      this.#poller.heard();
    } catch {
      // The poller measures the silence.
    }
  }

  /** Removes the job if it is not being executed and no other wait here needs it; a client elsewhere adds it again. */
  async #takeBack(waiter: Waiter): Promise<boolean> {
    const { operationId } = waiter.submission;
    for (const other of this.#waiters.of(operationId)) if (other !== waiter) return false;
    for (let attempt = 1; attempt <= takeBackAttempts; attempt += 1) {
      try {
        return await cancelJob(this.#connection, this.queue, operationId);
      } catch {
        // A Redis that is only slow answers the next time.
      }
    }
    return false;
  }
}

/** The caller's side of a job, as work: from its submission to its answer. */
const inCall = <T>({ name, operationId, payload }: Submission, call: () => Promise<T>): Promise<T> =>
  inWork({ name: `call ${name}`, kind: "client", fields: { ...fieldsOf(payload), operationId } }, call);

/** The end of a wait that is the end of the job, too. */
function takenBack({ name, operationId }: Submission, { code, message }: SnapmillError): SnapmillError {
  if (code !== "unavailable") return aborted(`${name} ${operationId} was given up and taken back before it began`);
  return unavailable(message.replace(askAgain, `${name} was taken back and will not happen: try again`));
}

function requireFit({ name, payload }: Submission): void {
  const tooMuch = excess(Buffer.byteLength(JSON.stringify(payload)));
  if (tooMuch !== undefined) throw invalidArgument(`${name} is too large: ${tooMuch}`);
}

const isSame = ({ name, payload, database }: Submission, stored: StoredJob): boolean =>
  stored.name === name &&
  isSameDatabase(database, stored.database) &&
  Bun.deepEquals(stored.payload, JSON.parse(JSON.stringify(payload)));

function usedOtherwise({ operationId, database }: Submission, stored: StoredJob): SnapmillError {
  const other = isSameDatabase(database, stored.database)
    ? "with other arguments"
    : `on another host's database (${String(stored.database)}, this is ${String(database)})`;
  return invalidArgument(
    `operation ID ${operationId} was used for a ${stored.name} ${other}: use a new one for another operation`,
  );
}
