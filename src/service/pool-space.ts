// Room: service. Owns how full a pool is, read from outside: an answer also while its queue is long.
import { type Config, paths } from "../config.ts";
import { poolUsageOf, recordedDriver } from "../drivers/open.ts";
import type { Database } from "../metadata/database.ts";
import { readPool } from "../metadata/pool.ts";

/** How full the pool is; undefined while it is not attached, or was not made yet. */
export async function poolSpace(config: Config, database: Database): ReturnType<typeof poolUsageOf> {
  const record = readPool(database);
  if (record === undefined) return undefined;
  return await poolUsageOf(recordedDriver(record.driver), paths.poolDir(config), config.dmControl);
}
