// Room: cli. Owns reading a pool's database: it needs no running snapmill, and never disturbs one.
import { type Config, paths } from "../config.ts";
import { invalidArgument, isSnapmillError } from "../domain/errors.ts";
import type { DeviceName, Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Mount } from "../domain/snapshots.ts";
import { devicePathOf, recordedDriver } from "../drivers/open.ts";
import { type Database, openDatabase } from "../metadata/database.ts";
import { readPool } from "../metadata/pool.ts";
import { lookUpSnapshot, mountsOf } from "../metadata/snapshots.ts";
import { walkSnapshots } from "../metadata/walk.ts";

/** Throws not_found when the state directory has no such pool yet. */
export const openStore = (config: Config): Database => openDatabase(paths.database(config), { mode: "readonly" });

/** Undefined when the state directory has no such pool yet. */
export function storeIfAny(config: Config): Database | undefined {
  try {
    return openStore(config);
  } catch (error) {
    if (isSnapmillError(error, "not_found")) return undefined;
    throw error;
  }
}

/** `openStore` for one look: open no longer than `read` takes. */
export function readStore<T>(config: Config, read: (database: Database) => T): T {
  using database = openStore(config);
  return read(database);
}

const digestBeginning = /^sha256:[0-9a-f]{4,63}$/;

/**
 * The snapshot that `text` means: the one of that name, or else the only one whose name is a digest that begins like
 * this. Text that means none comes back as it is. Throws invalid_argument when it could mean several.
 */
export function fullName(database: Database, scope: Scope, text: SnapshotKey): SnapshotKey {
  if (!digestBeginning.test(text) || lookUpSnapshot(database, scope, text) !== undefined) return text;
  const [only, another] = walkSnapshots(database, { scope, filters: [`name~=^${text}`] });
  if (only === undefined) return text;
  if (another === undefined) return only.key;
  throw invalidArgument(`${text} could be ${only.key} or ${another.key}: give more of its digits`);
}

/** How to mount an active or view snapshot. */
export const mountsIn = (config: Config, database: Database, scope: Scope, key: SnapshotKey): Mount[] =>
  mountsOf(database, scope, key, devicePathIn(config, database));

function devicePathIn(config: Config, database: Database): (deviceName: DeviceName) => string {
  const driver = recordedDriver(readPool(database)?.driver ?? "reflink");
  return (deviceName) => devicePathOf(driver, paths.devices(config), deviceName);
}
