// Room: jobs. Owns the client: what the project's other programs, and other people's, call operations through.
import type { Redis } from "ioredis";
import type { z } from "zod";
import { failedPrecondition, isRetryable } from "../domain/errors.ts";
import { freshOperationId, type OperationId, type PoolName } from "../domain/identifiers.ts";
import { answering, answerTimeoutMs, producerConnection } from "./connection.ts";
import {
  type Jobs,
  type PoolJobName,
  parsePayload,
  parseResult,
  type Result,
  type UnpackedImage,
  type UnpackProgress,
  unpackProgress,
} from "./contract.ts";
import { Exchange } from "./exchange.ts";
import { type DamagedJob, failedJobs } from "./failed-jobs.ts";
import type { JobQueue } from "./queues.ts";
import { asRedisFailure } from "./redis-failure.ts";
import { type FailedRemoval, failedRemovals } from "./removals.ts";
import { standing } from "./standing.ts";
import type { Submission } from "./submissions.ts";

export interface CallOptions {
  /** Makes the call repeatable: with the same ID and payload it has one effect, and one answer. Default: a fresh one. */
  readonly operationId?: OperationId | undefined;
  /** How long to wait; the job itself knows no deadline. Default: a minute for a call, a day for an unpack. */
  readonly deadlineMs?: number | undefined;
  /** Ends the waiting with `aborted`. A pool's job that has not begun is taken back; an accepted unpack goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface PoolCallOptions extends CallOptions {
  /**
   * Ends the waiting with `unavailable` when for about a second no worker has been there (ten, when it only hangs); a job
   * that has not begun is taken back. Default: the job waits for a worker until the deadline.
   */
  readonly needsWorker?: boolean | undefined;
  /**
   * Called when the waiting ends and the job perhaps not yet: before the call rejects, with a promise that resolves once
   * the job has ended one way or the other, or was taken back. Until then it may still happen.
   */
  readonly onLeft?: ((ended: Promise<void>) => void) | undefined;
  /** Goes before all jobs that wait. Default: false. */
  readonly isUrgent?: boolean | undefined;
}

export interface UnpackOptions extends CallOptions {
  readonly onProgress?: ((progress: UnpackProgress) => void) | undefined;
}

export interface JobCounts {
  readonly waiting: number;
  readonly active: number;
  /** Failed and waiting for their next attempt. */
  readonly delayed: number;
  readonly completed: number;
  readonly failed: number;
}

/** A payload as callers give it. */
export type Arguments<Name extends PoolJobName> = Omit<z.input<Jobs[Name]["payload"]>, "pool" | "operationId">;

const callDeadlineMs = 60_000;
const unpackDeadlineMs = 24 * 3600 * 1000;

/**
 * Operations on one pool, through its queues. Every method throws SnapmillErrors: those of the operation as its worker
 * threw them; invalid_argument for a payload that is none; and those of `Exchange.run` for the way there and back.
 */
export class JobClient implements AsyncDisposable {
  readonly #connection: Redis;
  readonly #redisUrl: string;
  readonly #pool: PoolName;
  readonly #calls: Exchange;
  #unpacks: Promise<Exchange> | undefined;
  #isClosed = false;

  private constructor(connection: Redis, redisUrl: string, pool: PoolName, calls: Exchange) {
    this.#connection = connection;
    this.#redisUrl = redisUrl;
    this.#pool = pool;
    this.#calls = calls;
  }

  /** `unavailable` within about a second when Redis is away. */
  static async connect({ redisUrl, pool }: { redisUrl: string; pool: PoolName }): Promise<JobClient> {
    const connection = await answering(producerConnection(redisUrl), redisUrl, 1.5 * answerTimeoutMs);
    try {
      return new JobClient(connection, redisUrl, pool, await Exchange.open(connection, redisUrl, pool, "pool"));
    } catch (error) {
      connection.disconnect();
      throw asRedisFailure(error);
    }
  }

  /** Has one of the pool's jobs executed. */
  async call<Name extends PoolJobName>(
    name: Name,
    given: Arguments<Name>,
    { operationId: givenId, deadlineMs = callDeadlineMs, signal, needsWorker, onLeft, isUrgent }: PoolCallOptions = {},
  ): Promise<Result<Name>> {
    this.#requireOpen();
    const operationId = givenId ?? freshOperationId();
    const payload = parsePayload(name, { ...given, pool: this.#pool, operationId });
    const submission: Submission = { name, operationId, payload, isFresh: givenId === undefined, isUrgent };
    const waiting = { deadlineMs, signal, needsWorker, onLeft };
    const result = await this.#calls.run(submission, waiting, "take back");
    return parseResult(name, result);
  }

  /**
   * Unpacks an image. Once accepted it is written down on the pool's host and happens even if this client, or Redis,
   * is lost; asked again by the same operation ID, the answer is that of the first time.
   */
  async unpack(
    request: { readonly reference: string; readonly platform: string },
    { operationId = freshOperationId(), deadlineMs = unpackDeadlineMs, signal, onProgress }: UnpackOptions = {},
  ): Promise<UnpackedImage> {
    this.#requireOpen();
    const untilMs = performance.now() + deadlineMs;
    const payload = parsePayload("unpack", { ...request, pool: this.#pool, operationId });
    const submission: Submission = { name: "unpack", operationId, payload, isFresh: false };
    const unpacks = await this.#unpackExchange();
    if (await needsAcceptance(unpacks, submission)) {
      await this.call("accept-unpack", { requests: [{ operationId, ...request }] }, { deadlineMs, signal });
    }
    const waiting = { deadlineMs: Math.max(0, untilMs - performance.now()), signal, onProgress: parsing(onProgress) };
    return parseResult("unpack", await unpacks.run(submission, waiting, "leave"));
  }

  /**
   * Whether any of these accepted unpacks, not settled yet, will be settled without anybody's doing. One whose failure a
   * retry could help stays until somebody asks for it.
   */
  async willBeSettled(accepted: readonly OperationId[]): Promise<boolean> {
    this.#requireOpen();
    const { queue } = await this.#unpackExchange();
    try {
      const standings = await Promise.all(accepted.map((operationId) => standing(queue, operationId)));
      return standings.some((found) => found.state !== "failed" || !isRetryable(found.failure.code));
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  /** How many jobs the pool's two queues hold. */
  async counts(): Promise<{ readonly pool: JobCounts; readonly unpack: JobCounts }> {
    this.#requireOpen();
    const unpacks = await this.#unpackExchange();
    const [pool, unpack] = await Promise.all([countJobs(this.#calls.queue), countJobs(unpacks.queue)]);
    return { pool, unpack };
  }

  /** How many workers are connected to each of the pool's two queues. */
  async workers(): Promise<{ readonly pool: number; readonly unpack: number }> {
    this.#requireOpen();
    const unpacks = await this.#unpackExchange();
    try {
      const [pool, unpack] = await Promise.all([this.#calls.queue.getWorkersCount(), unpacks.queue.getWorkersCount()]);
      return { pool, unpack };
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  /** Which of the pool's two queues an operator has paused: jobs are kept and not executed. */
  async paused(): Promise<{ readonly pool: boolean; readonly unpack: boolean }> {
    this.#requireOpen();
    const unpacks = await this.#unpackExchange();
    try {
      const [pool, unpack] = await Promise.all([this.#calls.queue.isPaused(), unpacks.queue.isPaused()]);
      return { pool, unpack };
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  /** Removals of devices that were given up: a `cleanup` has them tried again, and so has the next start. */
  async failedRemovals(): Promise<FailedRemoval[]> {
    this.#requireOpen();
    try {
      return await failedRemovals(this.#connection, this.#calls.queue);
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  /** Failed jobs of both queues that no snapmill can have written. */
  async damagedJobs(): Promise<DamagedJob[]> {
    this.#requireOpen();
    const unpacks = await this.#unpackExchange();
    try {
      const queues = [this.#calls.queue, unpacks.queue];
      const failed = await Promise.all(queues.map((queue) => failedJobs(this.#connection, queue)));
      return failed.flat().filter((job) => job.kind === "damaged");
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  /** Ends every call that still waits with `aborted`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const unpacks = await this.#unpacks?.catch(() => undefined);
    await Promise.all([this.#calls[Symbol.asyncDispose](), unpacks?.[Symbol.asyncDispose]()]);
    this.#connection.disconnect();
  }

  #requireOpen(): void {
    if (this.#isClosed) throw failedPrecondition("this client is closed: connect a new one");
  }

  async #unpackExchange(): Promise<Exchange> {
    this.#unpacks ??= Exchange.open(this.#connection, this.#redisUrl, this.#pool, "unpack");
    try {
      return await this.#unpacks;
    } catch (error) {
      this.#unpacks = undefined;
      throw asRedisFailure(error);
    }
  }
}

/** Whether the unpack must (again) be written down on the pool's host: not if it is under way, or has its answer. */
async function needsAcceptance(unpacks: Exchange, submission: Submission): Promise<boolean> {
  const kept = await unpacks.standing(submission);
  switch (kept.state) {
    case "lost":
      return true;
    case "failed":
      if (!isRetryable(kept.failure.code)) return false;
      // Out of the way of the acceptance, which would take the kept failure for the answer.
      await unpacks.queue.remove(submission.operationId);
      return true;
    case "pending":
    case "completed":
      return false;
  }
}

function parsing(onProgress: UnpackOptions["onProgress"]) {
  if (onProgress === undefined) return undefined;
  return (given: unknown): void => {
    const parsed = unpackProgress.safeParse(given);
    if (parsed.success) onProgress(parsed.data);
  };
}

async function countJobs(queue: JobQueue): Promise<JobCounts> {
  try {
    const counts = await queue.getJobCounts("waiting", "active", "delayed", "completed", "failed");
    const of = (state: string): number => counts[state] ?? 0;
    const [waiting, active, delayed] = [of("waiting"), of("active"), of("delayed")];
    return { waiting, active, delayed, completed: of("completed"), failed: of("failed") };
  } catch (error) {
    throw asRedisFailure(error);
  }
}
