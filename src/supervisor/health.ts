// Room: supervisor. Owns the health check: whether Redis takes writes, the workers' heartbeats, and free disk space.
import { stat } from "node:fs/promises";
import { type Config, redisUrl } from "../config.ts";
import type { Health } from "../domain/health.ts";
import { startTimer } from "../domain/timers.ts";
import { formatSize } from "../domain/units.ts";
import { RedisCheck } from "../jobs/redis/diagnosis.ts";
import type { Logger } from "../logger.ts";
import { defaultMinFreeBytes, spaceOf } from "../system/file/space.ts";
import { isReadOnly } from "../system/mount/mountinfo.ts";
import type { ChildState } from "./child-plan.ts";
import type { Services } from "./services.ts";

/** An answer is cached for this long. */
const lookEveryMs = 1_000;

/** What the check reads from the services. */
export type Watched = Pick<Services, "states" | "troubles" | "beats">;

/** Checks on demand, over one connection; concurrent callers share a check. */
export class HealthCheck implements AsyncDisposable {
  readonly #config: Config;
  readonly #services: Watched;
  readonly #growsIn: () => Promise<readonly string[]>;
  #redis: RedisCheck | undefined;
  #look: Promise<Health> | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** `growsIn`: the directories of this host whose file systems the pool takes its space from. */
  constructor(config: Config, services: Watched, growsIn: () => Promise<readonly string[]>) {
    this.#config = config;
    this.#services = services;
    this.#growsIn = growsIn;
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
    const [redis, disk] = await Promise.all([this.#redis.state(), diskState(this.#config, this.#growsIn)]);
    const { states, troubles, beats } = this.#services;
    const reasons = [
      ...(redis.trouble === undefined ? [] : [redis.trouble]),
      ...(redis.isPaused ? ["the pool's queue is paused: resume it in the dashboard"] : []),
      ...absences(states),
      ...troubles,
      ...(disk.failure === null ? [] : [disk.failure]),
    ];
    return {
      ok: reasons.length === 0,
      reasons,
      redis: redis.trouble ?? "ok",
      queue: redis.isPaused ? "paused" : "ok",
      poolWorker: states.pool.kind,
      unpackWorkers: { ready: states.unpackers.filter(isReady).length, wanted: states.unpackers.length },
      grpcServer: states.grpc?.kind ?? "off",
      heartbeatAgesMs: beats,
      stateDirectory: disk,
    };
  }
}

const watchEveryMs = 10_000;

/** Logs health problems even if no client asks. A check that fails is only logged. */
export function tellTroubles(health: HealthCheck, log: Logger): Disposable {
  let wasWell = true;
  const look = async () => {
    try {
      const { ok, reasons } = await health.current();
      for (const reason of reasons) log.warn(`not well: ${reason}`);
      if (ok && !wasWell) log.info("all is well again");
      wasWell = ok;
    } catch (error) {
      log.warn({ err: error }, "the health check failed");
    }
  };
  const timer = setInterval(() => void look(), watchEveryMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

const isReady = (state: ChildState): boolean => state.kind === "ready";

/** One ready unpack worker is enough to run jobs; the number in the answer shows that others are missing. */
function absences({ pool, unpackers, grpc }: Services["states"]): string[] {
  const missing = (name: string, state: ChildState | undefined) =>
    state === undefined || isReady(state) ? [] : [`${name} is not running (${state.kind})`];
  return [
    ...missing("the pool worker", pool),
    ...(unpackers.some(isReady) ? [] : ["no unpack worker is running"]),
    ...missing("the gRPC server", grpc),
  ];
}

/** With less free space than this, not even the database and the queue can be kept. */
const bareMinimumBytes = 16 * 2 ** 20;
const answerWithinMs = 2_000;

/** Only asks the kernel: a write to a file system that does not answer would never return. */
async function diskState(
  { stateDir }: Config,
  growsIn: () => Promise<readonly string[]>,
): Promise<Health["stateDirectory"]> {
  const space = await inTime(spaceOf(stateDir));
  if (space === undefined) {
    return { freeBytes: 0, totalBytes: 0, failure: `the file system of ${stateDir} does not answer: check its disk` };
  }
  const { freeBytes, totalBytes } = space;
  if (await isReadOnly(stateDir)) {
    const failure = `${stateDir} is on a read-only file system: check its disk, and mount it read-write`;
    return { freeBytes, totalBytes, failure };
  }
  const isPoolHere = await inTime(growsOnFileSystemOf(stateDir, growsIn));
  if (isPoolHere === undefined) {
    return { freeBytes, totalBytes, failure: "the file system of the pool does not answer: check its disk" };
  }
  const minBytes = isPoolHere ? defaultMinFreeBytes(totalBytes) : bareMinimumBytes;
  if (freeBytes >= minBytes) return { freeBytes, totalBytes, failure: null };
  const left = `${formatSize(freeBytes)} free at ${stateDir}, but anything new needs ${formatSize(minBytes)}`;
  return { freeBytes, totalBytes, failure: `${left}: remove snapshots, or free some space` };
}

/** The result of `answer`; undefined if it takes longer than two seconds. */
async function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  using _timer = startTimer(answerWithinMs, () => resolve(undefined));
  return await Promise.race([answer, late]);
}

async function growsOnFileSystemOf(stateDir: string, growsIn: () => Promise<readonly string[]>): Promise<boolean> {
  // If this fails, the pool's worker reports the pool.
  const places = await growsIn().catch(() => []);
  const { dev } = await stat(stateDir);
  const devices = await Promise.all(places.map((directory) => stat(directory).catch(() => undefined)));
  return devices.some((found) => found?.dev === dev);
}
