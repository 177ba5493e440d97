// Room: supervisor. Owns the error for a command on a pool that the running snapmill does not serve.
import { type Config, redisUrl } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import { poolsText, type Running } from "../domain/running.ts";
import type { PoolClaim } from "../jobs/claims/pool-claims.ts";
import { redisLabel } from "../jobs/redis/url.ts";

/** Throws failed_precondition if `running` does not serve the configured pool: no worker would take its jobs. */
export async function requirePool(config: Config, running: Running): Promise<void> {
  if (running.pools.includes(config.pool)) return;
  throw failedPrecondition(explain(config, running, await servedPoolsIfKnown(config)));
}

type Served = ReadonlyMap<PoolName, PoolClaim>;

/** The queue's library is loaded only here: see service/running-client.ts. */
async function servedPoolsIfKnown(config: Config): Promise<Served> {
  const { servedPools } = await import("../jobs/claims/pool-claims.ts");
  // If Redis cannot be asked, the error says what is known without it.
  return await servedPools(redisUrl(config)).catch(() => new Map());
}

function explain(config: Config, running: Running, served: Served): string {
  const { stateDir, pool } = config;
  const begin = `the snapmill that runs for state directory ${stateDir} serves ${poolsText(running.pools)}, not ${pool}`;
  const mine = running.pools.map((name) => `--pool ${name}`).join(" or ");
  const there = served.get(pool);
  if (there !== undefined) {
    return (
      `${begin}; pool ${pool} is served by host ${there.host} (${there.stateDir}): ` +
      `run the command there, or use ${mine}`
    );
  }
  const names = [...served].map(([name, { host }]) => `${name} on host ${host}`).join(", ");
  return (
    `${begin}, and no other host serves that pool through Redis at ${redisLabel(redisUrl(config))} ` +
    `(served pools: ${names === "" ? "none" : names}): use ${mine}, ` +
    `or start 'snapmill up --pool ${pool}' with another --state-dir`
  );
}
