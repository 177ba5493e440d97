// Room: jobs. Owns the asking end of one queue: a job goes in and its end comes back, whatever happens in between.
import type { Redis } from "ioredis";
import { aborted, invalidArgument, isRetryable, unavailable } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import { EventReader } from "./event-reader.ts";
import { type JobQueue, openQueue, type QueueKind } from "./queues.ts";
import { asRedisFailure } from "./redis-failure.ts";
import { type Standing, standing } from "./standing.ts";
import { type StoredJob, type Submission, Submissions } from "./submissions.ts";
import { askAgain, type Waiter, Waiters, type Waiting } from "./waiters.ts";
import { Watch } from "./watch.ts";

/** What becomes of a job that has not begun when its caller walks away. */
export type WhenGivenUp = "take back" | "leave";

export class Exchange implements AsyncDisposable {
  readonly queue: JobQueue;
  readonly #connection: Redis;
  readonly #submissions: Submissions;
  readonly #waiters = new Waiters();
  readonly #events: EventReader;
  readonly #watch: Watch;

  private constructor(connection: Redis, queue: JobQueue, redisUrl: string, pool: PoolName, kind: QueueKind) {
    this.queue = queue;
    this.#connection = connection;
    this.#submissions = new Submissions(connection, queue);
    this.#watch = new Watch({
      waiters: this.#waiters,
      ping: () => this.#ping(),
      look: (waiter) => this.#look(waiter),
      outage: () =>
        this.#waiters.rejectAll((job) => unavailable(`Redis went away while ${job} was waited for; ${askAgain}`)),
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

  static async open(connection: Redis, redisUrl: string, pool: PoolName, kind: QueueKind): Promise<Exchange> {
    return new Exchange(connection, await openQueue(connection, pool, kind), redisUrl, pool, kind);
  }

  /**
   * Has a job executed and returns its result, unparsed. A job of that ID that Redis still keeps is not executed again:
   * its result is returned, its failure thrown, unless a retry may help; then it is tried again. Of another name or
   * payload: invalid_argument. `unavailable` when Redis is away, `deadline_exceeded`, and `aborted` by the caller.
   */
  async run(submission: Submission, waiting: Waiting, whenGivenUp: WhenGivenUp): Promise<unknown> {
    using waiter = this.#waiters.open(submission, waiting);
    this.#events.wake();
    const submitted = waiter.cancellation === undefined ? this.#submit(waiter) : Promise.resolve();
    try {
      return await waiter.outcome;
    } catch (error) {
      if (error !== waiter.cancellation || whenGivenUp === "leave") throw error;
      await submitted;
      if (await this.#takeBack(waiter)) {
        throw aborted(`${submission.name} ${submission.operationId} was given up and taken back before it began`);
      }
      throw error;
    }
  }

  /** How the job stands; invalid_argument if one of its ID is another. */
  async standing(submission: Submission): Promise<Standing> {
    try {
      const job = await this.queue.getJob(submission.operationId);
      if (job === undefined) return { state: "lost" };
      requireSame(submission, { name: job.name, payload: job.data });
      return await standing(this.queue, submission.operationId);
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.#waiters.rejectAll((job) => aborted(`the client was closed while ${job} was waited for; ${askAgain}`));
    this.#events[Symbol.dispose]();
    await this.queue.close().catch(() => undefined);
  }

  async #submit(waiter: Waiter): Promise<void> {
    const { submission } = waiter;
    try {
      const stored = await this.#submissions.add(submission);
      this.#watch.heard();
      if (stored !== undefined) {
        requireSame(submission, stored);
        await this.#retryIfUseful(submission);
      }
      this.#watch.begin(waiter);
      waiter.isQueued = true;
      if (stored !== undefined || waiter.wasTouched) await this.#look(waiter);
    } catch (error) {
      waiter.reject(asRedisFailure(error));
    }
  }

  async #retryIfUseful(submission: Submission): Promise<void> {
    const kept = await standing(this.queue, submission.operationId);
    if (kept.state !== "failed" || !isRetryable(kept.failure.code)) return;
    const job = await this.queue.getJob(submission.operationId);
    try {
      await job?.retry("failed", { resetAttemptsMade: true, resetAttemptsStarted: true });
    } catch (error) {
      // Another caller was faster, and the job has left the failed ones: it is on its way.
      if (asRedisFailure(error).code === "unavailable") throw error;
    }
  }

  #onEnd(jobId: string, end: (waiter: Waiter) => void): void {
    this.#watch.heard();
    for (const waiter of this.#waiters.of(jobId)) {
      if (waiter.isQueued) end(waiter);
      else waiter.wasTouched = true;
    }
  }

  async #look(waiter: Waiter): Promise<void> {
    const { submission } = waiter;
    try {
      const found = await standing(this.queue, submission.operationId);
      this.#watch.heard();
      switch (found.state) {
        case "completed":
          waiter.resolve(found.result);
          break;
        case "failed":
          waiter.reject(found.failure);
          break;
        case "lost":
          // Redis lost it, or kept it no longer: whoever executes it knows by its ID whether it was done already.
          await this.#submissions.add(submission);
          break;
        case "pending":
          break;
      }
    } catch {
      // The watch looks again, and knows when to give up.
    }
  }

  async #ping(): Promise<void> {
    try {
      await this.#connection.ping();
      this.#watch.heard();
    } catch {
      // Silence is what the watch measures.
    }
  }

  /** Removes the job if it waits and nobody else here waits for it; a client elsewhere that does adds it again. */
  async #takeBack(waiter: Waiter): Promise<boolean> {
    const { operationId } = waiter.submission;
    for (const other of this.#waiters.of(operationId)) if (other !== waiter) return false;
    try {
      // Out of the list of waiting jobs first, by one atomic command: `remove` alone would also forget a finished one.
      const wasWaiting = (await this.#connection.lrem(this.queue.toKey("wait"), 0, operationId)) > 0;
      if (wasWaiting) await this.queue.remove(operationId);
      return wasWaiting;
    } catch {
      return false;
    }
  }
}

function requireSame({ name, operationId, payload }: Submission, stored: StoredJob): void {
  if (stored.name === name && Bun.deepEquals(stored.payload, JSON.parse(JSON.stringify(payload)))) return;
  throw invalidArgument(
    `operation ID ${operationId} was used for a ${stored.name} with other arguments: use a new one for another operation`,
  );
}
