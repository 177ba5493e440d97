// Room: service. Owns which host serves which pool, of all that share a Redis.
import { z } from "zod";
import { redisUrl } from "../config.ts";
import { operation } from "./operation.ts";
import type { PoolService } from "./service.ts";

const host = z.object({
  pool: z.string(),
  host: z.string(),
  stateDir: z.string(),
  /** The number of the database that owns the pool's name. */
  database: z.number(),
  /** Whether its worker was seen within the last ten seconds. */
  isAlive: z.boolean(),
  /** By the clock of Redis, in milliseconds since 1970. */
  claimedAtMs: z.number(),
  seenAtMs: z.number(),
  /** How long ago that was. */
  unseenMs: z.number(),
});
export type PoolHost = z.output<typeof host>;

/** The pools that are claimed in the pool's Redis, by name, 100 at most, and the host of each. */
export const listHosts = operation(
  { input: z.object({}), output: z.array(host) },
  async ({ config }: Pick<PoolService, "config">): Promise<PoolHost[]> => {
    // The queue's library takes longer to load than most commands take.
    const { claimedPools, isAlive } = await import("../jobs/claims/pool-claims.ts");
    return [...(await claimedPools(redisUrl(config)))].map(([pool, claim]) => ({
      pool,
      host: claim.host,
      stateDir: claim.stateDir,
      database: claim.database,
      isAlive: isAlive(claim),
      claimedAtMs: claim.claimedAtMs,
      seenAtMs: claim.seenAtMs,
      unseenMs: claim.unseenMs,
    }));
  },
);
