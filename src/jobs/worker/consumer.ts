// Room: jobs. Owns the worker side of a pool's queues: takes jobs, has them handled, and reports their ends.
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { Backoff } from "../../domain/backoff.ts";
import type { SnapmillError } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import type { QueueKind } from "../../domain/queues.ts";
import { ClaimGuard } from "../claims/claim-guard.ts";
import { type ClaimHolder, type PoolClaim, requireClaimable, takeClaim } from "../claims/pool-claims.ts";
import { poolJobNames, unpackJobNames } from "../contract.ts";
import {
  backoffMs,
  defaultRemovalPauses,
  type JobQueue,
  keyPrefix,
  lockDurationMs,
  maxStalls,
  openQueue,
  type QueuedJob,
  queueName,
  removalPauseMs,
} from "../queues.ts";
import { answering, checkRedis, consumerConnection } from "../redis/connection.ts";
import { asRedisFailure, isConnectionLost } from "../redis/failures.ts";
import { beatKey } from "../requests/worker-liveness.ts";
import { Executor } from "./executor.ts";
import { type PoolHandlers, type Runners, runnersOf, type UnpackHandlers } from "./handlers.ts";
import { mendUnreadableJobs } from "./mend-jobs.ts";
import { PatientWorker } from "./patient-worker.ts";

export interface Consumer {
  /** What `checkRedis` found: sentences for the log. */
  readonly warnings: readonly string[];
  /** The claim on the pool's name that was moved for this worker; undefined: none was. */
  readonly displaced: PoolClaim | undefined;
  /** Resolves with the reason once the pool's name is another's: this consumer is then closing by itself. */
  readonly lost: Promise<SnapmillError>;
  /** Throws aborted while it is not known whether this process, which stood still, still has the pool's name. */
  assertAwake(): void;
  /** Takes no new jobs, and resolves when the running ones are finished. */
  close(): Promise<void>;
  /** Takes no new jobs and aborts the running ones' signals: what is not finished goes back into the queue. Bounded. */
  closeNow(): Promise<void>;
}

export interface ConsumerOptions {
  readonly redisUrl: string;
  readonly pool: PoolName;
  /** Whose jobs it executes: it claims the pool's name first. */
  readonly holder: ClaimHolder;
  /** The claim that may be moved: see pool-claims.ts. */
  readonly takeOver?: string | undefined;
  /** How many jobs are with their handlers at once. */
  readonly concurrency: number;
  /** Between attempts at a device's removal. Default: see queues.ts. */
  readonly removalPauses?: Backoff | undefined;
  /** Called with failures that reach no caller: Redis away, a lost lock, and what handlers throw without a code. */
  readonly onError: (error: Error) => void;
}

interface Opened {
  readonly queue: JobQueue;
  readonly connection: Redis;
  readonly warnings: readonly string[];
  readonly displaced: PoolClaim | undefined;
}

const startTimeoutMs = 10_000;
/** Another worker gets a job this long after its worker died, at most: the lock's duration and two of these. */
const stalledCheckMs = 1_000;
const upkeepMs = 5_000;
/** How long `close` waits, all jobs being finished, for a Redis that may be away; and `closeNow` for the jobs. */
const lastWordsMs = 2_000;
const abortGraceMs = 5_000;

/**
 * Executes a pool's jobs. `unavailable` when Redis does not answer within ten seconds; later on it is waited for.
 * failed_precondition when the pool's name is another database's.
 */
export function consumePoolJobs(options: ConsumerOptions & { readonly handlers: PoolHandlers }): Promise<Consumer> {
  return QueueConsumer.open("pool", runnersOf(poolJobNames, options.pool, options.handlers), options);
}

/** Executes unpacks of a pool; otherwise like `consumePoolJobs`. */
export function consumeUnpackJobs(options: ConsumerOptions & { readonly handlers: UnpackHandlers }): Promise<Consumer> {
  return QueueConsumer.open("unpack", runnersOf(unpackJobNames, options.pool, options.handlers), options);
}

/**
 * Throws failed_precondition when a worker with a new database could not have the pool's name; `unavailable` when Redis
 * does not answer within ten seconds.
 */
export async function checkClaimable({
  redisUrl,
  pool,
  takeOver,
}: Pick<ConsumerOptions, "redisUrl" | "pool" | "takeOver">): Promise<void> {
  const connection = await answering(consumerConnection(redisUrl), redisUrl, startTimeoutMs);
  try {
    await requireClaimable(connection, pool, takeOver);
  } finally {
    connection.disconnect();
  }
}

class QueueConsumer implements Consumer {
  readonly warnings: readonly string[];
  readonly displaced: PoolClaim | undefined;
  readonly #connection: Redis;
  readonly #executor: Executor;
  readonly #worker: Worker<object, unknown, string>;
  readonly #upkeep: Timer | undefined;
  readonly #guard: ClaimGuard;
  #closed: Promise<void> | undefined;
  #mending: Promise<string[]> | undefined;

  private constructor(
    kind: QueueKind,
    runners: Runners,
    { pool, holder, concurrency, removalPauses = defaultRemovalPauses, onError }: ConsumerOptions,
    { queue, connection, warnings, displaced }: Opened,
  ) {
    this.warnings = warnings;
    this.displaced = displaced;
    this.#connection = connection;
    const guard = new ClaimGuard({ connection, pool, holder, beatKey: beatKey(queue) });
    this.#guard = guard;
    const executor = new Executor(kind, runners, guard, onError);
    this.#executor = executor;
    void guard.lost.then(() => this.close());
    // A function, never a file: BullMQ's processes for files do not work in a compiled program.
    const process = (job: QueuedJob, token: string | undefined) => executor.execute(job, token);
    this.#worker = new PatientWorker(queueName(pool, kind), process, {
      connection,
      prefix: keyPrefix(pool),
      name: `${hostname()}-${globalThis.process.pid}`,
      concurrency,
      lockDuration: lockDurationMs,
      stalledInterval: stalledCheckMs,
      maxStalledCount: maxStalls,
      runRetryDelay: 1_000,
      settings: {
        backoffStrategy: (made, _type, _error, job) =>
          job?.name === "remove-device" ? removalPauseMs(removalPauses, job.id ?? "", made) : backoffMs(kind, made),
      },
    });
    this.#worker.on("error", (error) => {
      onError(error);
      if (!isConnectionLost(error)) void this.#mendJobs(queue);
    });
    // Before the executor's own listener: once it has begun the job, it can no longer tell whether others run.
    if (kind === "pool") askForFewWhenFew(this.#worker, concurrency, executor);
    this.#worker.on("active", (job) => executor.begin(job));
    this.#worker.on("lockRenewalFailed", (jobIds) => {
      for (const jobId of jobIds) executor.lockLost(jobId);
    });
    if (kind === "pool") {
      this.#upkeep = setInterval(() => void limitAllWorkers(queue, concurrency, connection), upkeepMs);
    }
  }

  /** BullMQ says only that it could not read a job, not which one. */
  async #mendJobs(queue: JobQueue): Promise<void> {
    this.#mending ??= mendUnreadableJobs(this.#connection, queue).finally(() => {
      this.#mending = undefined;
    });
    await this.#mending.catch(() => undefined);
  }

  get lost(): Promise<SnapmillError> {
    return this.#guard.lost;
  }

  assertAwake(): void {
    this.#guard.assertAwake();
  }

  static async open(kind: QueueKind, runners: Runners, options: ConsumerOptions): Promise<QueueConsumer> {
    const { redisUrl, pool, holder, takeOver, concurrency } = options;
    const connection = await answering(consumerConnection(redisUrl), redisUrl, startTimeoutMs);
    try {
      const displaced = await takeClaim(connection, { pool, holder, takeOver });
      const queue = await openQueue(connection, pool, kind);
      if (kind === "pool") await limitAllWorkers(queue, concurrency, connection);
      const warnings = await checkRedis(connection);
      return new QueueConsumer(kind, runners, options, { queue, connection, warnings, displaced });
    } catch (error) {
      connection.disconnect();
      throw asRedisFailure(error);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async closeNow(): Promise<void> {
    this.#executor.stop();
    // The timer must not keep an idle process from ending.
    await Promise.race([this.close(), delay(abortGraceMs, undefined, { ref: false })]);
    this.#connection.disconnect();
  }

  async #close(): Promise<void> {
    clearInterval(this.#upkeep);
    this.#guard.release();
    // BullMQ's own close waits for Redis as well as for the jobs, and Redis may be away.
    await Promise.race([this.#worker.close(), this.#idleFor(lastWordsMs)]);
    this.#guard[Symbol.dispose]();
    this.#connection.disconnect();
  }

  async #idleFor(durationMs: number): Promise<void> {
    const stepMs = 50;
    for (let idleMs = 0; idleMs < durationMs; idleMs = this.#executor.isIdle ? idleMs + stepMs : 0) {
      await delay(stepMs, undefined, { ref: false });
    }
  }
}

/**
 * Asks for one job at a time while they come one at a time, and for `concurrency` of them as soon as one has been waiting:
 * BullMQ looks for another job after each that it gets, and a lone job pays for looks that find none. Only where jobs are
 * executed one after the other anyway.
 */
function askForFewWhenFew(worker: Worker<object, unknown, string>, concurrency: number, executor: Executor): void {
  let isDrained = true;
  worker.on("drained", () => {
    isDrained = true;
  });
  worker.on("active", () => {
    worker.concurrency = isDrained && executor.isIdle ? 1 : concurrency;
    isDrained = false;
  });
}

/**
 * Limits how many of a pool's jobs are out with workers in all: `concurrency` alone is a limit per process. Repeated
 * from time to time, since a Redis that was emptied has forgotten it.
 */
async function limitAllWorkers(queue: JobQueue, concurrency: number, connection: Redis): Promise<void> {
  // Commands to a Redis that is away would only queue up.
  if (connection.status === "ready") await queue.setGlobalConcurrency(concurrency).catch(() => undefined);
}
