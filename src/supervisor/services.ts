// Room: supervisor. Owns the services of a snapmill on one machine: the order in which they start and stop.
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { type Config, paths, redisUrl } from "../config.ts";
import { untilAborted } from "../domain/cancellation.ts";
import type { Health } from "../domain/health.ts";
import { answering, consumerConnection } from "../jobs/redis/connection.ts";
import { requireUsable } from "../jobs/redis/diagnosis.ts";
import { checkClaimable } from "../jobs/worker/consumer.ts";
import { createLogger, sayWhatWasCounted } from "../logger.ts";
import { removeEmptyDirectories } from "../system/file/directories.ts";
import type { Left } from "../system/process/processes.ts";
import type { ChildPlan, ChildState, Component } from "./child-plan.ts";
import { ChildSupervisor } from "./child-supervisor.ts";
import { prepareRunDirectory } from "./directories.ts";
import { keepRoom } from "./disk-reserve.ts";
import { proveJobsRun } from "./probe.ts";
import { redisPlan } from "./redis.ts";
import { type Claim, claim } from "./running.ts";
import { requirePool } from "./served-pools.ts";
import { startTotals } from "./totals.ts";
import { grpcWorkerPlan, poolWorkerPlan, unpackWorkerPlan } from "./workers.ts";

/**
 * The state of each child; `redis` is undefined with an external Redis (REDIS_URL), `grpc` if containerd is not served.
 */
export interface ServiceStates {
  readonly redis: ChildState | undefined;
  readonly pool: ChildState;
  readonly unpackers: readonly ChildState[];
  readonly grpc: ChildState | undefined;
}

/** Disposal stops everything in reverse order. */
export class Services implements AsyncDisposable {
  readonly #redis: ChildSupervisor | undefined;
  readonly #pool: ChildSupervisor;
  readonly #unpackers: readonly ChildSupervisor[];
  readonly #grpc: ChildSupervisor | undefined;
  readonly #config: Config;
  readonly #log: Logger;
  readonly #left: Left[] = [];
  /** What the children have observed, those that have ended included. */
  readonly observed = startTotals();

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
    const child = (plan: ChildPlan) => new ChildSupervisor({ ...plan, totals: this.observed }, log);
    this.#redis = config.redisUrl === undefined ? child(redisPlan(config)) : undefined;
    this.#pool = child(poolWorkerPlan(config));
    const serials = Array.from({ length: config.unpackWorkers }, (_, index) => index + 1);
    this.#unpackers = serials.map((serial) => child(unpackWorkerPlan(config, serial)));
    this.#grpc = config.grpcAddress === undefined ? undefined : child(grpcWorkerPlan(config));
  }

  get states(): ServiceStates {
    const unpackers = this.#unpackers.map((supervisor) => supervisor.state);
    return { redis: this.#redis?.state, pool: this.#pool.state, unpackers, grpc: this.#grpc?.state };
  }

  get components(): readonly Component[] {
    return this.#all.map(({ component }) => component);
  }

  /** What is wrong with the running children, one sentence each. */
  get troubles(): Readonly<Record<keyof ServiceStates, readonly string[]>> {
    const of = (...supervisors: readonly (ChildSupervisor | undefined)[]) =>
      supervisors.flatMap((supervisor) => supervisor?.trouble ?? []);
    return { redis: of(this.#redis), pool: of(this.#pool), unpackers: of(...this.#unpackers), grpc: of(this.#grpc) };
  }

  /** The first child that is not ready, by its name; undefined: all are. */
  get awaited(): string | undefined {
    const { redis, pool, unpackers, grpc } = this.states;
    const children = [
      ["redis-server", redis],
      ["the pool worker", pool],
      ...unpackers.map((state, index) => [`unpack worker ${index + 1}`, state] as const),
      ["the gRPC server", grpc],
    ] as const;
    return children.find(([, state]) => state !== undefined && state.kind !== "ready")?.[0];
  }

  /** The age of each worker's last heartbeat; null: it is not running. */
  get beats(): Health["heartbeatAgesMs"] {
    const ageOf = (supervisor: ChildSupervisor) =>
      supervisor.silentMs === undefined ? null : Math.round(supervisor.silentMs);
    return {
      pool: ageOf(this.#pool),
      unpack: this.#unpackers.map(ageOf),
      grpc: this.#grpc === undefined ? null : ageOf(this.#grpc),
    };
  }

  /** After disposal: the processes that did not end, even after SIGKILL. */
  get left(): readonly Left[] {
    return this.#left;
  }

  /** Rejects as soon as a child cannot go on; never resolves. */
  get failed(): Promise<never> {
    return Promise.race(this.#all.map((supervisor) => supervisor.refused));
  }

  /** Starts everything. Throws the reason if a child or Redis cannot work. `proveJobsRun` shows that jobs run. */
  async start(): Promise<void> {
    prepareRunDirectory(this.#config, (sentence) => this.#log.warn(sentence));
    await this.#redis?.start();
    await requireUsable(redisUrl(this.#config));
    await this.#pool.start();
    await Promise.all(this.#users.map((supervisor) => supervisor.start()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stop = async (supervisor: ChildSupervisor | undefined) =>
      void this.#left.push(...((await supervisor?.stop()) ?? []));
    await Promise.all(this.#users.map(stop));
    await stop(this.#pool);
    await stop(this.#redis);
    const { runDir } = this.#config;
    sayWhatWasCounted();
    if (this.#left.length === 0) await removeEmptyDirectories(runDir, runDir);
  }

  /** The children that use the pool's worker: started after it, stopped before it. */
  get #users(): readonly ChildSupervisor[] {
    return this.#grpc === undefined ? this.#unpackers : [this.#grpc, ...this.#unpackers];
  }

  get #all(): readonly ChildSupervisor[] {
    const redis = this.#redis === undefined ? [] : [this.#redis];
    return [...redis, this.#pool, ...this.#users];
  }
}

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

/** How long a command waits for the Redis of an `up` that is starting. */
const comingUpMs = 15_000;
const turnPollMs = 200;

/** Whether the services were started for this action. */
export type Whose = "ours" | "another's";

/**
 * Runs `action` on the `up` that runs for the state directory. If there is none, starts services for the action and
 * stops them afterwards, even if it fails. Commands that start services take turns. `signal` cancels the wait and the
 * start and is thrown as its reason; the action must listen to it itself.
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
  if (turn.kind === "held") {
    await requirePool(config, turn.by);
    (await answering(consumerConnection(redisUrl(config)), redisUrl(config), comingUpMs)).disconnect();
    return await action("another's");
  }
  using _turn = turn.lock;
  const quiet = { ...config, logLevel: level, grpcAddress: undefined, takeOver: undefined };
  await requireFreeName(quiet, signal);
  await using services = new Services(quiet, log);
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
