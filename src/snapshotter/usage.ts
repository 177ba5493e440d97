// Room: snapshotter. Owns the usage of snapshots, committed or not.
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Usage } from "../domain/snapshots.ts";
import type { Driver } from "../drivers/port.ts";
import { type Database, readConsistently } from "../metadata/database.ts";
import { deviceUnder, findSnapshot, ownUsage } from "../metadata/snapshots.ts";

/**
 * What a snapshot holds of its own: as measured at commit, or (active, view) as its device maps it now. Throws
 * not_found, and what the driver throws.
 */
export async function usageOf(database: Database, driver: Driver, scope: Scope, key: SnapshotKey): Promise<Usage> {
  const { snapshot, device } = readConsistently(database, () => {
    const found = findSnapshot(database, scope, key);
    return { snapshot: found, device: deviceUnder(database, found) };
  });
  return ownUsage(database, snapshot, snapshot.usedBytes ?? (await driver.usedBytes(device)));
}
