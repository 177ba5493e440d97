// Room: jobs. Owns a worker's hold on its pool's name: confirmed again and again, asked for in doubt, and lost.
import type { Redis } from "ioredis";
import { aborted, type SnapmillError, unavailable } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import { observed } from "../../domain/tally.ts";
import { openJobData } from "../job-data.ts";
import type { QueuedJob } from "../queues.ts";
import { asRedisFailure } from "../redis/failures.ts";
import { beatEveryMs, beatLastsMs } from "../requests/worker-liveness.ts";
import { misaddressed } from "./addressee.ts";
import {
  askForClaim,
  type ClaimHolder,
  type ClaimOutcome,
  confirmedLastsMs,
  heldByCopy,
  nameLost,
} from "./pool-claims.ts";

/**
 * A worker that stood still for this long has lost the locks on its jobs (`lockDurationMs` in queues.ts): another worker
 * may have them.
 */
const standstillMs = 3_000;
const tickMs = 500;

/** Whatever the failure was: a job in doubt is tried again later, behind others. */
function unanswered(error: unknown): never {
  const { message } = asRedisFailure(error);
  throw unavailable(`this worker could not learn whether it still has the pool's name: ${message}`, error);
}

/** This worker no longer has the pool's name, or cannot ask: another worker decides about the job. */
export class NotMine extends Error {
  override readonly name = "NotMine";
}

export interface ClaimGuardOptions {
  readonly connection: Redis;
  readonly pool: PoolName;
  readonly holder: ClaimHolder;
  /** The key of this worker's heartbeat. */
  readonly beatKey: string;
}

/**
 * Beats for a worker that has taken the claim, and confirms the claim with each beat. A claim that is gone (Redis was
 * emptied) is made again at once. Times are those of a monotonic clock, taken before Redis was asked: a worker that was
 * stopped for a while does not believe what it knew before.
 */
export class ClaimGuard implements Disposable {
  readonly #options: ClaimGuardOptions;
  readonly #lost = Promise.withResolvers<SnapmillError>();
  readonly #released = Promise.withResolvers<void>();
  readonly #timers: readonly Timer[];
  #confirmedMs = performance.now();
  #tickMs = performance.now();
  #stoodStill = false;
  #sawNone = false;
  #isLost = false;
  #asking: Promise<void> | undefined;

  constructor(options: ClaimGuardOptions) {
    this.#options = options;
    const tick = () => {
      this.#noteStandstill();
      this.#tickMs = performance.now();
    };
    const beat = () => {
      // Commands to a Redis that is away would only queue up.
      if (options.connection.status === "ready") this.#ask().catch(() => undefined);
    };
    beat();
    this.#timers = [setInterval(beat, beatEveryMs), setInterval(tick, tickMs)];
    for (const timer of this.#timers) timer.unref();
  }

  /** Resolves with the reason as soon as the name is known to be another's. */
  get lost(): Promise<SnapmillError> {
    return this.#lost.promise;
  }

  /**
   * Undefined when the job may begin. Otherwise it may once the promise resolves; that rejects with NotMine, or, as the
   * job's failure, because it is meant for another database than the one that has the name.
   */
  doubt(job: QueuedJob): Promise<void> | undefined {
    const { database } = openJobData(job.data);
    const isMeant = database === undefined || database === this.#options.holder.database;
    const isConfirmed = performance.now() - this.#confirmedMs < confirmedLastsMs;
    if (isMeant && isConfirmed && !this.#isLost) return undefined;
    return this.#judge(job, isMeant ? undefined : database);
  }

  /**
   * Throws aborted when this process has stood still for so long that its jobs may have been given to another, and Redis
   * has not been asked since: what it was about to write down must not be answered twice.
   */
  assertAwake(): void {
    this.#noteStandstill();
    if (this.#stoodStill)
      throw aborted("this worker stood still, and does not know yet whether it has the pool's name");
  }

  /** Ends all waits for Redis: jobs in doubt go back into the queue. */
  release(): void {
    this.#released.resolve();
  }

  [Symbol.dispose](): void {
    this.release();
    for (const timer of this.#timers) clearInterval(timer);
  }

  #noteStandstill(): void {
    if (performance.now() - this.#tickMs > standstillMs) this.#stoodStill = true;
  }

  async #judge(job: QueuedJob, stranger: number | undefined): Promise<void> {
    const { pool, holder } = this.#options;
    const askedMs = performance.now();
    while (!this.#isLost && this.#confirmedMs < askedMs) {
      const released = this.#released.promise.then(() => {
        throw new NotMine("this worker is being stopped");
      });
      await Promise.race([this.#ask().catch(unanswered), released]);
      if (this.#sawNone) await Bun.sleep(beatEveryMs);
    }
    if (this.#isLost) throw new NotMine("this worker no longer has the pool's name");
    if (stranger !== undefined) throw misaddressed(pool, stranger, holder, job.attemptsStarted > 1);
  }

  /** One question at a time. */
  #ask(): Promise<void> {
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askOnce(): Promise<void> {
    if (this.#isLost) return;
    const { connection, pool, holder, beatKey } = this.#options;
    const askedMs = performance.now();
    // A worker that was silent for long does not claim again first: another may be about to.
    const mayClaim = this.#sawNone || askedMs - this.#confirmedMs < beatLastsMs;
    const beat = { key: beatKey, lastsMs: beatLastsMs };
    const outcome = await askForClaim(connection, { pool, holder, mayClaim, beat });
    observed.observe("snapmill_redis_roundtrip_seconds", {}, (performance.now() - askedMs) / 1000);
    this.#note(outcome, askedMs);
  }

  #note(outcome: ClaimOutcome, askedMs: number): void {
    const { pool } = this.#options;
    this.#sawNone = outcome.verdict === "absent";
    switch (outcome.verdict) {
      case "ours":
        this.#confirmedMs = askedMs;
        this.#stoodStill = false;
        break;
      case "absent":
        break;
      case "held":
        this.#lose(nameLost(pool, outcome.before));
        break;
      case "copied":
        this.#lose(heldByCopy(pool, outcome.before));
        break;
    }
  }

  #lose(reason: SnapmillError): void {
    this.#isLost = true;
    this.#lost.resolve(reason);
  }
}
