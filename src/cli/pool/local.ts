// Room: cli. Owns the pool on this host: operations run in this process, on the pool's database and its queue.
import { existsSync } from "node:fs";
import { type Config, paths } from "../../config.ts";
import { poolOperations } from "../../service/api.ts";
import { LocalService } from "../../service/local-service.ts";
import type { ReachedPool } from "../../service/remote-service.ts";
import { whileRunning } from "../../service/while-running.ts";
import { notice } from "../output/output.ts";
import type { Pool, PoolFacts, PoolOperations } from "./pool.ts";
import { unpackPoolOf } from "./unpacking.ts";

export const openLocalPool = (config: Config): Pool => poolOf(new LocalService(config, notice));

/** Runs `action` while a snapmill runs for the pool: see `whileRunning`. */
export const whileLocalPoolRuns = <T>(
  config: Config,
  signal: AbortSignal,
  action: (pool: Pool) => Promise<T>,
): Promise<T> => whileRunning(new LocalService(config, notice), signal, (service) => action(poolOf(service)));

export const poolOf = (service: LocalService): Pool => ({
  ...boundTo(service),
  ...factsOf(service),
  ...unpackPoolOf(service),
  requireRunning: () => service.requireRunning(),
  missing: (mounts) => mounts.find(({ source }) => !existsSync(source)),
});

/** How often to ask for something that has no events: in the database, and through the pool's worker. */
const pollMs = { database: 250, job: 2_000 } as const;

export const factsOf = (service: ReachedPool): Omit<PoolFacts, "serving"> => ({
  name: service.config.pool,
  pollMs: "database" in service ? pollMs.database : pollMs.job,
  place: () => Promise.resolve({ stateDir: service.config.stateDir, poolDir: paths.poolDir(service.config) }),
  [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
});

interface Run {
  (service: LocalService, given: unknown, options?: unknown): unknown;
  /** Of a list. */
  readonly placeOf?: unknown;
}

function boundTo(service: LocalService): PoolOperations {
  const bound = Object.entries(poolOperations).map(([name, operation]) => {
    const run = operation as unknown as Run;
    return [name, run.placeOf === undefined ? callOf(run, service) : listOf(run, service)];
  });
  return Object.fromEntries(bound) as PoolOperations;
}

const callOf = (run: Run, service: LocalService) => async (given: unknown, options: unknown) =>
  await run(service, given, options);

const listOf = (run: Run, service: LocalService) =>
  async function* (given: unknown): AsyncGenerator {
    for await (const page of run(service, given) as AsyncIterable<readonly unknown[]>) yield* page;
  };
