// Room: cli. Owns how full a pool and its devices are, read from outside: an answer also while its queue is long.
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { type Config, paths } from "../config.ts";
import { unavailable } from "../domain/errors.ts";
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Usage } from "../domain/snapshots.ts";
import { deviceFile, filesDir, imagePath } from "../drivers/reflink/layout.ts";
import type { Database } from "../metadata/database.ts";
import { readPool } from "../metadata/pool.ts";
import { deviceUnder, findSnapshot, ownUsage, storedUsage } from "../metadata/snapshots.ts";
import { isMountPoint } from "../system/mountinfo.ts";
import { type Space, spaceOf } from "../system/space.ts";

/** The space of the pool; undefined while it is not attached, or of a kind that only its worker can ask. */
export async function poolSpace(config: Config, database: Database): Promise<Space | undefined> {
  const directory = await reflinkDirectory(config, database);
  return directory === undefined ? undefined : spaceOf(directory);
}

/** What a snapshot holds of its own. Throws not_found, and unavailable while its device cannot be asked. */
export async function usageOf(config: Config, database: Database, scope: Scope, key: SnapshotKey): Promise<Usage> {
  const stored = storedUsage(database, scope, key);
  if (stored !== undefined) return stored;
  const directory = await reflinkDirectory(config, database);
  if (directory === undefined) {
    throw unavailable(
      `only the device of ${JSON.stringify(key)} knows its usage: start 'snapmill up --state-dir ${config.stateDir}'`,
    );
  }
  const snapshot = findSnapshot(database, scope, key);
  const { blocks } = await stat(deviceFile(directory, deviceUnder(database, snapshot).deviceName));
  return ownUsage(database, snapshot, blocks * statBlockBytes);
}

/** `st_blocks` counts in 512 bytes whatever the file system. */
const statBlockBytes = 512;

/** Where a reflink pool's files lie, if they are there now: its own file system may not be mounted. */
async function reflinkDirectory(config: Config, database: Database): Promise<string | undefined> {
  if (readPool(database)?.driver !== "reflink") return undefined;
  const poolDir = paths.poolDir(config);
  const directory = filesDir(poolDir);
  if (existsSync(imagePath(poolDir)) && !(await isMountPoint(directory))) return undefined;
  return existsSync(directory) ? directory : undefined;
}
