// Room: cli. Owns the pool on this host: operations run in this process, on the pool's database and its queue.
import { existsSync } from "node:fs";
import { type Config, paths } from "../../config.ts";
import { LocalService } from "../../service/local-service.ts";
import type { ReachedPool } from "../../service/remote-service.ts";
import { whileRunning } from "../../service/while-running.ts";
import { notice } from "../output/output.ts";
import { lists, operations } from "./operations.ts";
import type { Pool, PoolFacts, PoolOperations } from "./pool.ts";

export const openLocalPool = (config: Config): Pool => poolOf(new LocalService(config, notice));

/** Runs `action` while a snapmill runs for the pool: see `whileRunning`. */
export const whileLocalPoolRuns = <T>(
  config: Config,
  signal: AbortSignal,
  action: (pool: Pool) => Promise<T>,
): Promise<T> => whileRunning(config, { notice, signal }, (service) => action(poolOf(service)));

export const poolOf = (service: LocalService): Pool => ({
  ...boundTo(service),
  ...factsOf(service),
  serving: async () => {
    const running = await service.running();
    return running && (running.kind === "up" ? "lasting" : "temporary");
  },
  unpackWorkers: () => Promise.resolve(service.config.unpackWorkers),
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

type Run = (service: LocalService, given: unknown, options?: unknown) => unknown;

function boundTo(service: LocalService): PoolOperations {
  const calls = Object.entries(operations).map(([name, run]) => [
    name,
    async (given: unknown, options: unknown) => await (run as Run)(service, given, options),
  ]);
  const streams = Object.entries(lists).map(([name, run]) => [
    name,
    (given: unknown) => itemsOf(() => (run as Run)(service, given) as Iterable<readonly unknown[]>),
  ]);
  return Object.fromEntries([...calls, ...streams]) as PoolOperations;
}

async function* itemsOf(pages: () => Iterable<readonly unknown[]>): AsyncGenerator {
  for (const page of pages()) yield* page;
}
