// Room: cli. Owns how full a pool and its devices are, read from outside: an answer also while its queue is long.
import { type Config, paths } from "../config.ts";
import { isSnapmillError, unavailable } from "../domain/errors.ts";
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Usage } from "../domain/snapshots.ts";
import { poolUsageOf, recordedDriver, usedBytesOf } from "../drivers/open.ts";
import type { Database } from "../metadata/database.ts";
import { readPool } from "../metadata/pool.ts";
import { deviceUnder, findSnapshot, ownUsage, storedUsage } from "../metadata/snapshots.ts";

/** How full the pool is; undefined while it is not attached, or was not made yet. */
export async function poolSpace(config: Config, database: Database): ReturnType<typeof poolUsageOf> {
  const record = readPool(database);
  if (record === undefined) return undefined;
  return await poolUsageOf(recordedDriver(record.driver), paths.poolDir(config), config.dmControl);
}

/** What a snapshot holds of its own. Throws not_found, and unavailable while its device cannot be asked. */
export async function usageOf(config: Config, database: Database, scope: Scope, key: SnapshotKey): Promise<Usage> {
  const stored = storedUsage(database, scope, key);
  if (stored !== undefined) return stored;
  const snapshot = findSnapshot(database, scope, key);
  const driver = recordedDriver(readPool(database)?.driver ?? "");
  try {
    const usedBytes = await usedBytesOf(driver, paths.poolDir(config), deviceUnder(database, snapshot));
    return ownUsage(database, snapshot, usedBytes);
  } catch (error) {
    if (!isSnapmillError(error, "not_found")) throw error;
    const wayOut = `start 'snapmill up --state-dir ${config.stateDir}'`;
    throw unavailable(`only the device of ${JSON.stringify(key)} knows its usage: ${wayOut}`, error);
  }
}
