// Room: jobs. Owns the client, through which programs call operations.
import type { Redis } from "ioredis";
import type { Backoff } from "../../domain/backoff.ts";
import { failedPrecondition, isRetryable } from "../../domain/errors.ts";
import { freshOperationId, type OperationId, type PoolName } from "../../domain/identifiers.ts";
import type { QueueKind } from "../../domain/queues.ts";
import { Retrier, type RetrierOptions } from "../../domain/retrier.ts";
import { apartFromWork } from "../../domain/work.ts";
import { Addressee } from "../claims/addressee.ts";
import { type PoolClaim, readClaim } from "../claims/pool-claims.ts";
import {
  type Arguments,
  type PoolJobName,
  parsePayload,
  parseResult,
  type ResolvedImageReport,
  type Result,
  type UnpackedImage,
  type UnpackProgress,
  type UnpackRequest,
} from "../contract.ts";
import { type FailedRemoval, failedRemovals } from "../outbox/removal-publisher.ts";
import type { JobQueue } from "../queues.ts";
import { answering, answerTimeoutMs, producerConnection } from "../redis/connection.ts";
import { asRedisFailure, RedisAway } from "../redis/failures.ts";
import { needsAcceptance } from "./acceptance.ts";
import { activeUnpacks, asUnpack, type QueuedUnpack } from "./active-unpacks.ts";
import { cancelJob } from "./cancel-job.ts";
import { type DamagedJob, failedJobs } from "./failed-jobs.ts";
import { parsing } from "./followed-unpack.ts";
import { type JobAccount, jobAccount } from "./job-account.ts";
import { jobState } from "./job-state.ts";
import { countJobs, type JobCounts, oldestWaitingMs } from "./queue-counts.ts";
import { type QueuedOperation, queuedOperation } from "./queued-operation.ts";
import { RequestClient } from "./request-client.ts";
import type { Submission } from "./submissions.ts";

export interface ClientOptions {
  readonly redisUrl: string;
  readonly pool: PoolName;
  /**
   * The number of the database that the calls are meant for (`lastTakeOver` in metadata/pool.ts), for a caller on its
   * host. Default: that of the first claim on the pool's name that is found. Once that name is another database's, calls
   * fail with failed_precondition.
   */
  readonly database?: number | undefined;
  /** How long every method tries again while Redis is away. Default: not at all. */
  readonly patience?: OutagePatience | undefined;
}

export type OutagePatience = Pick<RetrierOptions<RedisAway>, "outageMs" | "onOutage">;

interface BothQueues {
  readonly pool: JobQueue;
  readonly unpack: JobQueue;
}

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

/** While Redis is away. */
const backoff: Backoff = { firstMs: 100, capMs: 1_000 };
const isRedisAway = (error: unknown): error is RedisAway => error instanceof RedisAway;

const callDeadlineMs = 60_000;
const resolveDeadlineMs = 10 * 60_000;
const unpackDeadlineMs = 24 * 3600 * 1000;

/**
 * Operations on one pool, through its queues. Every method throws SnapmillErrors: those of the operation as its worker
 * threw them; invalid_argument for a payload that is none; and those of `RequestClient.run` for the way there and back.
 */
export class JobClient implements AsyncDisposable {
  readonly #connection: Redis;
  readonly #redisUrl: string;
  readonly #pool: PoolName;
  readonly #calls: RequestClient;
  readonly #outages: Retrier<RedisAway>;
  readonly #addressee: Addressee;
  #unpacks: Promise<RequestClient> | undefined;
  #isClosed = false;

  private constructor(
    connection: Redis,
    { redisUrl, pool, database }: ClientOptions,
    calls: RequestClient,
    outages: Retrier<RedisAway>,
  ) {
    this.#connection = connection;
    this.#redisUrl = redisUrl;
    this.#pool = pool;
    this.#calls = calls;
    this.#outages = outages;
    this.#addressee = new Addressee(connection, pool, database);
  }

  /** `unavailable` within about a second when Redis is away, or when patience ends. */
  static async connect(options: ClientOptions, signal?: AbortSignal): Promise<JobClient> {
    const { redisUrl, pool } = options;
    const outages = new Retrier({ outageMs: 0, ...options.patience, mayPass: isRedisAway, backoff });
    // It outlives the work that needs it first.
    const connect = async () => {
      const connection = await answering(producerConnection(redisUrl), redisUrl, 1.5 * answerTimeoutMs);
      try {
        return new JobClient(
          connection,
          options,
          await RequestClient.open(connection, redisUrl, pool, "pool"),
          outages,
        );
      } catch (error) {
        connection.disconnect();
        throw asRedisFailure(error);
      }
    };
    return await apartFromWork(() => outages.run(connect, signal));
  }

  /** Has one of the pool's jobs executed. */
  async call<Name extends PoolJobName>(
    name: Name,
    given: Arguments<Name>,
    options: PoolCallOptions = {},
  ): Promise<Result<Name>> {
    this.#requireOpen();
    const { deadlineMs = callDeadlineMs, signal } = options;
    const operationId = options.operationId ?? freshOperationId();
    const untilMs = performance.now() + deadlineMs;
    return await this.#outages.run((attempt) => {
      // A job that was sent before Redis went away may have arrived.
      const isFresh = options.operationId === undefined && attempt === 1;
      return this.#callOnce(name, given, {
        ...options,
        operationId,
        isFresh,
        deadlineMs: attempt === 1 ? deadlineMs : leftMs(untilMs),
      });
    }, signal);
  }

  async #callOnce<Name extends PoolJobName>(
    name: Name,
    given: Arguments<Name>,
    options: PoolCallOptions & { readonly operationId: OperationId; readonly isFresh: boolean; deadlineMs: number },
  ): Promise<Result<Name>> {
    const { operationId, isFresh, isUrgent, ...waiting } = options;
    const payload = parsePayload(name, { ...given, pool: this.#pool, operationId });
    const database = await this.#database();
    const submission: Submission = { name, operationId, payload, database, isFresh, isUrgent };
    return parseResult(name, await this.#calls.run(submission, waiting));
  }

  /**
   * Unpacks an image. Once accepted it is written down on the pool's host, queued from there, and happens even if this
   * client, or Redis, is lost; asked again by the same operation ID, the answer is that of the first time.
   */
  async unpack(
    request: UnpackRequest,
    { operationId = freshOperationId(), deadlineMs = unpackDeadlineMs, signal, onProgress }: UnpackOptions = {},
  ): Promise<UnpackedImage> {
    this.#requireOpen();
    const untilMs = performance.now() + deadlineMs;
    const payload = parsePayload("unpack", { ...request, pool: this.#pool, operationId });
    const acceptance = { requests: [{ operationId, ...request }] };
    const accept = () => {
      const accepting = { operationId: freshOperationId(), isFresh: true, deadlineMs: leftMs(untilMs), signal };
      return this.#callOnce("accept-unpack", acceptance, accepting);
    };
    return await this.#outages.run(async () => {
      const database = await this.#database();
      const submission: Submission = { name: "unpack", operationId, payload, database, isFresh: false };
      const unpacks = await this.#unpackRequests();
      if (await needsAcceptance(unpacks, submission)) await accept();
      const waiting = { deadlineMs: leftMs(untilMs), signal, onProgress: parsing(onProgress) };
      return parseResult("unpack", await unpacks.follow(submission, waiting, accept));
    }, signal);
  }

  /**
   * What the unpack of an image would fetch and take. Answered by the next unpack worker that is free: it goes before
   * unpacks that wait, and not before those that run.
   */
  async resolve(request: UnpackRequest, { deadlineMs, signal }: CallOptions = {}): Promise<ResolvedImageReport> {
    this.#requireOpen();
    const operationId = freshOperationId();
    const untilMs = performance.now() + (deadlineMs ?? resolveDeadlineMs);
    const payload = parsePayload("resolve", { ...request, pool: this.#pool, operationId });
    return await this.#outages.run(async () => {
      const asked = { name: "resolve", operationId, payload, isFresh: false, isUrgent: true } as const;
      const submission: Submission = { ...asked, database: await this.#database() };
      const unpacks = await this.#unpackRequests();
      return parseResult("resolve", await unpacks.run(submission, { deadlineMs: leftMs(untilMs), signal }));
    }, signal);
  }

  /**
   * Whether any of these accepted unpacks, not settled yet, will be settled by itself. One that failed for a reason that
   * may pass stays until it is asked for again.
   */
  async willBeSettled(accepted: readonly OperationId[]): Promise<boolean> {
    return await this.#look(async ({ unpack }) => {
      const states = await Promise.all(accepted.map((operationId) => jobState(unpack, operationId)));
      return states.some((found) => found.state !== "failed" || !isRetryable(found.failure.code));
    });
  }

  /**
   * Takes an unpack that no worker has begun out of the queue; whether there is none that could begin it. It must be
   * cancelled on the pool's host before: otherwise it is queued again.
   */
  withdrawUnpack(operationId: OperationId): Promise<boolean> {
    return this.#look(({ unpack }) => cancelJob(this.#connection, unpack, operationId));
  }

  /** What the queues know of an operation; undefined: nothing. `progress`: an unpack's, as its worker last told it. */
  queued(operationId: OperationId): Promise<QueuedOperation | undefined> {
    return this.#look(({ pool, unpack }) => queuedOperation([unpack, pool], operationId));
  }

  /** All that the queues know of an operation's job; undefined: nothing. */
  account(operationId: OperationId): Promise<JobAccount | undefined> {
    return this.#look(({ pool, unpack }) => jobAccount([unpack, pool], operationId));
  }

  /** The unpacks that are executed at this moment. */
  activeUnpacks(): Promise<QueuedUnpack[]> {
    return this.#look(({ unpack }) => activeUnpacks(unpack));
  }

  /** An unpack as its queue has it; undefined: it does not know it. */
  queuedUnpack(operationId: OperationId): Promise<QueuedUnpack | undefined> {
    return this.#look(async ({ unpack }) => asUnpack(await unpack.getJob(operationId)));
  }

  /** How many jobs the pool's two queues hold. */
  counts(): Promise<{ readonly pool: JobCounts; readonly unpack: JobCounts }> {
    return this.#look((queues) => ofBoth(queues, countJobs));
  }

  /** How many workers are connected to each of the pool's two queues. */
  workers(): Promise<{ readonly pool: number; readonly unpack: number }> {
    return this.#look((queues) => ofBoth(queues, (queue) => queue.getWorkersCount()));
  }

  /** How long the oldest job has waited in each of the pool's two queues; 0: none waits. */
  oldestWaitingMs(): Promise<{ readonly pool: number; readonly unpack: number }> {
    return this.#look((queues) => ofBoth(queues, (queue, kind) => oldestWaitingMs(this.#connection, queue, kind)));
  }

  /** Which of the pool's two queues an operator has paused: jobs are kept and not executed. */
  paused(): Promise<{ readonly pool: boolean; readonly unpack: boolean }> {
    return this.#look((queues) => ofBoth(queues, (queue) => queue.isPaused()));
  }

  /** Removals of devices that were given up: a `cleanup` has them tried again, and so has the next start. */
  failedRemovals(): Promise<FailedRemoval[]> {
    return this.#look(async ({ pool }) => failedRemovals(this.#connection, pool, await this.#database()));
  }

  /** Failed jobs of both queues that were not written by snapmill. */
  damagedJobs(): Promise<DamagedJob[]> {
    return this.#look(async (queues) => {
      const { pool, unpack } = await ofBoth(queues, (queue) => failedJobs(this.#connection, queue));
      return [...pool, ...unpack].filter((job) => job.kind === "damaged");
    });
  }

  /** The claim on the pool's name; undefined: it is free. */
  claim(): Promise<PoolClaim | undefined> {
    return this.#look(() => readClaim(this.#connection, this.#pool));
  }

  /** Ends every call that still waits with `aborted`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const unpacks = await this.#unpacks?.catch(() => undefined);
    await Promise.all([this.#calls[Symbol.asyncDispose](), unpacks?.[Symbol.asyncDispose]()]);
    this.#connection.disconnect();
  }

  /** Looks at the queues, and throws what Redis throws as what it means. */
  async #look<T>(look: (queues: BothQueues) => Promise<T>): Promise<T> {
    this.#requireOpen();
    return await this.#outages.run(async () => {
      const unpacks = await this.#unpackRequests();
      try {
        return await look({ pool: this.#calls.queue, unpack: unpacks.queue });
      } catch (error) {
        throw asRedisFailure(error);
      }
    });
  }

  #requireOpen(): void {
    if (this.#isClosed) throw failedPrecondition("this client is closed: connect a new one");
  }

  async #database(): Promise<number | undefined> {
    try {
      return this.#addressee.known ?? (await this.#addressee.find());
    } catch (error) {
      throw asRedisFailure(error);
    }
  }

  async #unpackRequests(): Promise<RequestClient> {
    this.#unpacks ??= apartFromWork(() => RequestClient.open(this.#connection, this.#redisUrl, this.#pool, "unpack"));
    try {
      return await this.#unpacks;
    } catch (error) {
      this.#unpacks = undefined;
      throw asRedisFailure(error);
    }
  }
}

async function ofBoth<T>(
  queues: BothQueues,
  ask: (queue: JobQueue, kind: QueueKind) => Promise<T>,
): Promise<{ pool: T; unpack: T }> {
  const [pool, unpack] = await Promise.all([ask(queues.pool, "pool"), ask(queues.unpack, "unpack")]);
  return { pool, unpack };
}

const leftMs = (untilMs: number): number => Math.max(0, Math.ceil(untilMs - performance.now()));
