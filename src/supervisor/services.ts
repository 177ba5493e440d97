// Room: supervisor. Owns the services of a snapmill on one machine: the order in which they start and stop.
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Reader } from "../config/setting.ts";
import { type Config, paths, redisUrl } from "../config.ts";
import { untilAborted } from "../domain/cancellation.ts";
import { failedPrecondition, internal } from "../domain/errors.ts";
import type { Health } from "../domain/health.ts";
import type { PoolName } from "../domain/identifiers.ts";
import { requireUsable } from "../jobs/redis/diagnosis.ts";
import { checkClaimable } from "../jobs/worker/consumer.ts";
import { createLogger, sayWhatWasCounted } from "../logger.ts";
import { removeEmptyDirectories } from "../system/file/directories.ts";
import type { Left } from "../system/process/processes.ts";
import type { ChildState, Component } from "./child-plan.ts";
import { ChildSupervisor } from "./child-supervisor.ts";
import { prepareRunDirectory } from "./directories.ts";
import { keepRoom } from "./disk-reserve.ts";
import type { PoolStates } from "./pool-services.ts";
import { proveJobsRun } from "./probe.ts";
import { redisPlan } from "./redis.ts";
import { type Claim, claim } from "./running.ts";
import { ServedPool } from "./served-pool.ts";
import { startTotals } from "./totals.ts";

/** What is known of one pool's services; `redis` is undefined with an external Redis (REDIS_URL). */
export interface WatchedPool {
  readonly states: PoolStates & { readonly redis: ChildState | undefined };
  /** What is wrong with the running children, one sentence each. */
  readonly troubles: Readonly<Record<keyof PoolStates | "redis", readonly string[]>>;
  /** The age of each worker's last heartbeat; null: it is not running. */
  readonly beats: Health["heartbeatAgesMs"];
}

/** Redis, and the services of each pool. Disposal stops everything in reverse order. */
export class Services implements AsyncDisposable {
  readonly #redis: ChildSupervisor | undefined;
  readonly #pools: readonly ServedPool[];
  readonly #config: Config;
  readonly #log: Logger;
  readonly #left: Left[] = [];

  /** `configs`: one for each pool; what is not the pool's is the same in all. Throws if there is none. */
  constructor(configs: readonly Config[], log: Logger) {
    const [config] = configs;
    if (config === undefined) throw internal("there is no pool to serve");
    this.#config = config;
    this.#log = log;
    const isAlone = configs.length === 1;
    this.#pools = configs.map((each) => new ServedPool(each, log, isAlone, requireFreeName));
    // Redis is of no pool: what is said of it is said with the first.
    const totals = this.#pools[0]?.observed ?? startTotals();
    const redis = config.redisUrl === undefined ? { ...redisPlan(config), totals } : undefined;
    this.#redis = redis && new ChildSupervisor(redis, log);
  }

  /** Of the pool with this name: read it anew each time. */
  watched(pool: PoolName): WatchedPool {
    const { services, trouble } = this.#pool(pool);
    const redis = this.#redis;
    const { states, troubles, beats } = services;
    return {
      states: { ...states, redis: redis?.state },
      troubles: { ...troubles, pool: [...asList(trouble), ...troubles.pool], redis: asList(redis?.trouble) },
      beats,
    };
  }

  /** What metrics say of the children of the pool with this name, and of Redis with the first. */
  measured(name: PoolName) {
    const pool = this.#pool(name);
    const redis = pool === this.#pools[0] && this.#redis !== undefined ? [this.#redis] : [];
    return {
      observed: pool.observed,
      get components(): readonly Component[] {
        return [...redis.map(({ component }) => component), ...pool.services.components];
      },
    };
  }

  /** Whether the pool is served, as far as is known. */
  isServed(pool: PoolName): boolean {
    return this.#pool(pool).trouble === undefined;
  }

  /** The first child that is not ready, by its name; undefined: all are. */
  get awaited(): string | undefined {
    const redis = this.#redis?.state;
    if (redis !== undefined && redis.kind !== "ready") return "redis-server";
    for (const { config, services } of this.#pools) {
      const { pool, unpackers, grpc } = services.states;
      const children = [
        ["the pool worker", pool],
        ...unpackers.map((state, index) => [`unpack worker ${index + 1}`, state] as const),
        ["the gRPC server", grpc],
      ] as const;
      const name = children.find(([, state]) => state !== undefined && state.kind !== "ready")?.[0];
      if (name !== undefined) return this.#pools.length === 1 ? name : `${name} of pool ${config.pool}`;
    }
    return undefined;
  }

  /** After disposal: the processes that did not end, even after SIGKILL. */
  get left(): readonly Left[] {
    return this.#left;
  }

  /** Rejects as soon as Redis, or the only pool, cannot go on; never resolves. */
  get failed(): Promise<never> {
    const redis = this.#redis === undefined ? [] : [this.#redis.refused];
    return Promise.race([...redis, ...this.#pools.map((pool) => pool.failed)]);
  }

  /**
   * Starts everything. Throws the reason if Redis cannot work, or no pool can be served; of several, one is enough, and
   * the others are tried again. `proveJobsRun` shows that jobs run.
   */
  async start(): Promise<void> {
    prepareRunDirectory(this.#config, (sentence) => this.#log.warn(sentence));
    await this.#redis?.start();
    await requireUsable(redisUrl(this.#config));
    const failures = await Promise.all(this.#pools.map((pool) => pool.start()));
    if (failures.includes(undefined)) return;
    const reasons = this.#pools.map(({ config }, index) => `pool ${config.pool}: ${failures[index]?.message ?? ""}`);
    throw failedPrecondition(`no pool can be served: ${reasons.join("; ")}`);
  }

  /** Serves the pool of `next` with it, of which `readers` read what has changed. Throws why not: see PoolServices. */
  async reload(next: Config, readers: ReadonlySet<Reader>): Promise<void> {
    await this.#pool(next.pool).reload(next, readers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const left of await Promise.all(this.#pools.map((pool) => pool.stop()))) this.#left.push(...left);
    this.#left.push(...((await this.#redis?.stop()) ?? []));
    const { runDir } = this.#config;
    sayWhatWasCounted();
    if (this.#left.length === 0) await removeEmptyDirectories(runDir, runDir);
  }

  #pool(name: PoolName): ServedPool {
    const found = this.#pools.find(({ config }) => config.pool === name);
    if (found === undefined) throw internal(`pool ${name} is not one of those that are served`);
    return found;
  }
}

const asList = (sentence: string | undefined): readonly string[] => (sentence === undefined ? [] : [sentence]);

/**
 * For a state directory that has no database yet: throws failed_precondition, before anything is made there, if another
 * database has claimed the pool's name in Redis. `signal` cancels it.
 */
export async function requireFreeName(config: Config, signal: AbortSignal): Promise<void> {
  const { redisUrl: url, pool, takeOver } = config;
  if (url === undefined || existsSync(paths.database(config))) return;
  await requireUsable(url, signal);
  await Promise.race([checkClaimable({ redisUrl: url, pool, takeOver }), untilAborted(signal)]);
}

const turnPollMs = 200;

/** Whether the services were started for this action. */
export type Whose = "ours" | "another's";

/**
 * Runs `action` on the `up` that runs for the state directory, or is starting. If there is none, starts services for the
 * action and stops them afterwards, even if it fails. Commands that start services take turns. `signal` cancels the wait
 * and the start and is thrown as its reason; the action must listen to it itself.
 */
export async function withServices<T>(
  config: Config,
  action: (whose: Whose) => Promise<T>,
  { signal }: { readonly signal: AbortSignal },
): Promise<T> {
  // The user asked for an image, not for a log: log only what goes wrong.
  const level = config.logLevel === "info" ? "warn" : config.logLevel;
  const log = createLogger({ name: "services", level, format: config.logFormat });
  const turn = await takeTurn(config, log, signal);
  if (turn.kind === "held") return await action("another's");
  using _turn = turn.lock;
  const quiet = { ...config, logLevel: level, grpcAddress: undefined, takeOver: undefined };
  await requireFreeName(quiet, signal);
  await using services = new Services([quiet], log);
  const comeUp = async () => {
    await services.start();
    await proveJobsRun(quiet, { signal, onPaused: "refuse" });
  };
  await Promise.race([comeUp(), services.failed, untilAborted(signal)]);
  using _room = keepRoom(quiet, log);
  return await Promise.race([action("ours"), services.failed]);
}

/** Waits for other commands; returns the state directory's lock, or the `up` that holds it. */
async function takeTurn(config: Config, log: Logger, signal: AbortSignal): Promise<Claim> {
  for (;;) {
    const claimed = await claim(config, "command", (sentence) => log.warn(sentence));
    if (claimed.kind === "ours" || claimed.by.kind === "up") return claimed;
    await delay(turnPollMs);
    signal.throwIfAborted();
  }
}
