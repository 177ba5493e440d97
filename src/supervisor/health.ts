// Room: supervisor. Owns the health check: whether Redis takes writes, the workers' heartbeats, the pool, free disk space.
import { stat } from "node:fs/promises";
import { type Config, redisUrl } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { type Health, healthParts, type PartReasons, type Phase } from "../domain/health.ts";
import { inTime } from "../domain/timers.ts";
import { formatSize } from "../domain/units.ts";
import { RedisCheck } from "../jobs/redis/diagnosis.ts";
import type { Logger } from "../logger.ts";
import { defaultMinFreeBytes, spaceOf } from "../system/file/space.ts";
import { isReadOnly } from "../system/mount/mountinfo.ts";
import type { ChildState } from "./child-plan.ts";
import type { WatchedPool } from "./services.ts";

/** An answer is cached for this long. */
const lookEveryMs = 1_000;

/** What other rooms know of the pool; each is asked once the disk has answered. */
export interface PoolProbe {
  /** The directories of this host whose file systems the pool takes its space from. */
  readonly growsIn: () => Promise<readonly string[]>;
  /** Why the pool's database cannot be read; undefined: it can. */
  readonly databaseTrouble: () => string | undefined;
  /** Why unpacks wait although all runs: the hold on their queue; undefined: they do not. */
  readonly heldBack: () => string | undefined;
  /** Why nothing can be made in the pool; undefined: it is in service. */
  readonly poolTrouble: () => Promise<string | undefined>;
}

/** Checks one pool on demand, over one connection; concurrent callers share a check. */
export class HealthCheck implements AsyncDisposable {
  readonly #config: Config;
  readonly #watched: () => WatchedPool;
  readonly #probe: PoolProbe;
  #redis: RedisCheck | undefined;
  #phase: Phase = "starting";
  #look: Promise<Health> | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(config: Config, watched: () => WatchedPool, probe: PoolProbe) {
    this.#config = config;
    this.#watched = watched;
    this.#probe = probe;
  }

  /** What `up` is doing; `current` says so at once. */
  set phase(phase: Phase) {
    this.#phase = phase;
    this.#look = undefined;
  }

  current(): Promise<Health> {
    const nowMs = performance.now();
    if (this.#look === undefined || nowMs - this.#lookedMs > lookEveryMs) {
      this.#lookedMs = nowMs;
      this.#look = this.#now();
    }
    return this.#look;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#look?.catch(() => undefined);
    this.#redis?.[Symbol.dispose]();
  }

  async #now(): Promise<Health> {
    this.#redis ??= new RedisCheck(redisUrl(this.#config), this.#config.pool);
    const [redis, disk] = await Promise.all([this.#redis.state(), diskState(this.#config, this.#probe.growsIn)]);
    const { states, troubles, beats } = this.#watched();
    const parts: PartReasons = {
      up: this.#phase === "running" ? [] : [`snapmill is ${this.#phase}`],
      redis: [...asList(redis.trouble), ...troubles.redis],
      ...(await this.#lookIntoPool(disk.answers, redis.isPaused)),
      poolWorker: [...missing("the pool worker", states.pool), ...troubles.pool],
      // One ready unpack worker is enough to run jobs; the number in the answer shows that others are missing.
      unpackWorkers: [
        ...(states.unpackers.some(isReady) ? [] : ["no unpack worker is running"]),
        ...troubles.unpackers,
      ],
      grpcServer: [...missing("the gRPC server", states.grpc), ...troubles.grpc],
      disk: asList(disk.failure),
    };
    const reasons = healthParts.flatMap((part) => parts[part]);
    const ok = reasons.length === 0;
    return {
      ok,
      reasons,
      parts,
      unpackWorkers: { ready: states.unpackers.filter(isReady).length, wanted: states.unpackers.length },
      heartbeatAgesMs: beats,
      stateDirectory: { freeBytes: disk.freeBytes, totalBytes: disk.totalBytes },
      pools: [{ pool: this.#config.pool, ok, reasons }],
    };
  }

  async #lookIntoPool(answers: boolean, isPaused: boolean): Promise<Pick<PartReasons, "queue" | "database" | "pool">> {
    const queue = isPaused ? ["the pool's queue is paused: 'snapmill resume' ends that"] : [];
    if (!answers) return { queue, database: [], pool: [] };
    const late = "the pool does not answer: check its disk";
    const inService = this.#probe.poolTrouble().then(asList);
    const pool = await inTime(
      answerWithinMs,
      inService.catch((error: unknown) => [asSnapmillError(error).message]),
    );
    return {
      queue: [...queue, ...asList(this.#probe.heldBack())],
      database: asList(this.#probe.databaseTrouble()),
      pool: pool ?? [late],
    };
  }
}

const watchEveryMs = 10_000;

/**
 * Logs health problems even if no client asks, and hands each answer to `onLook`. A check that fails is only logged.
 */
export function tellTroubles(
  health: { current(): Promise<Health> },
  log: Logger,
  onLook: (health: Health) => void,
): Disposable {
  let wasWell = true;
  const look = async () => {
    try {
      const found = await health.current();
      for (const reason of found.reasons) log.warn(`not well: ${reason}`);
      if (found.ok && !wasWell) log.info("all is well again");
      wasWell = found.ok;
      onLook(found);
    } catch (error) {
      log.warn({ err: error }, "the health check failed");
    }
  };
  const timer = setInterval(() => void look(), watchEveryMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

const asList = (sentence: string | undefined): readonly string[] => (sentence === undefined ? [] : [sentence]);

const isReady = (state: ChildState): boolean => state.kind === "ready";

const missing = (name: string, state: ChildState | undefined): readonly string[] =>
  state === undefined || isReady(state) ? [] : [`${name} is not running (${state.kind})`];

/** With less free space than this, not even the database and the queue can be kept. */
const bareMinimumBytes = 16 * 2 ** 20;
const answerWithinMs = 2_000;

interface DiskState {
  /** Whether the file systems of the state directory and of the pool answer. */
  readonly answers: boolean;
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Why nothing new can be made there; undefined: it can. */
  readonly failure: string | undefined;
}

/** Only asks the kernel: a write to a file system that does not answer would never return. */
async function diskState({ stateDir }: Config, growsIn: PoolProbe["growsIn"]): Promise<DiskState> {
  const space = await inTime(answerWithinMs, spaceOf(stateDir));
  if (space === undefined) {
    const failure = `the file system of ${stateDir} does not answer: check its disk`;
    return { answers: false, freeBytes: 0, totalBytes: 0, failure };
  }
  const { freeBytes, totalBytes } = space;
  const found = { answers: true, freeBytes, totalBytes };
  if (await isReadOnly(stateDir)) {
    const failure = `${stateDir} is on a read-only file system: check its disk, and mount it read-write`;
    return { ...found, failure };
  }
  const isPoolHere = await inTime(answerWithinMs, growsOnFileSystemOf(stateDir, growsIn));
  if (isPoolHere === undefined) {
    return { ...found, answers: false, failure: "the file system of the pool does not answer: check its disk" };
  }
  const minBytes = isPoolHere ? defaultMinFreeBytes(totalBytes) : bareMinimumBytes;
  if (freeBytes >= minBytes) return { ...found, failure: undefined };
  const left = `${formatSize(freeBytes)} free at ${stateDir}, but anything new needs ${formatSize(minBytes)}`;
  return { ...found, failure: `${left}: remove snapshots, or free some space` };
}

async function growsOnFileSystemOf(stateDir: string, growsIn: PoolProbe["growsIn"]): Promise<boolean> {
  // If this fails, the pool's worker reports the pool.
  const places = await growsIn().catch(() => []);
  const { dev } = await stat(stateDir);
  const devices = await Promise.all(places.map((directory) => stat(directory).catch(() => undefined)));
  return devices.some((found) => found?.dev === dev);
}
