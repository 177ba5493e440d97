// Room: service. Owns reading a pool's database, which needs no running snapmill and never disturbs one.
import { type Config, paths } from "../config.ts";
import { isSnapmillError } from "../domain/errors.ts";
import { type Database, openDatabase } from "../metadata/database.ts";

/** Throws not_found if the state directory has no such pool yet. */
export const openStore = (config: Config): Database => openDatabase(paths.database(config), { mode: "readonly" });

/** Undefined if the state directory has no such pool yet. */
export function storeIfAny(config: Config): Database | undefined {
  try {
    return openStore(config);
  } catch (error) {
    if (isSnapmillError(error, "not_found")) return undefined;
    throw error;
  }
}

/** The result of `read`; undefined if the state directory has no such pool yet. */
export function readStoreIfAny<T>(config: Config, read: (database: Database) => T): T | undefined {
  using database = storeIfAny(config);
  return database === undefined ? undefined : read(database);
}

/** The result of `read`; the database is open only while that runs. Throws what `openStore` throws. */
export function readStore<T>(config: Config, read: (database: Database) => T): T {
  using database = openStore(config);
  return read(database);
}
