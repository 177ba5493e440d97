// Room: service. Owns reading a pool's database, which needs no running snapmill and never disturbs one.
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Config, paths } from "../config.ts";
import { isSnapmillError, notFound } from "../domain/errors.ts";
import { type Database, openDatabase } from "../metadata/database.ts";

/** Throws not_found if the state directory has no such pool yet. */
export function openStore(config: Config): Database {
  try {
    return openDatabase(paths.database(config), { mode: "readonly" });
  } catch (error) {
    const others = isSnapmillError(error, "not_found") ? otherPools(config) : [];
    if (others.length === 0) throw error;
    const there = others.map((pool) => `--pool ${pool}`).join(" or ");
    throw notFound(`there is no pool ${config.pool} in ${config.stateDir}: use ${there}`, error);
  }
}

function otherPools(config: Config): readonly string[] {
  try {
    const pools = dirname(paths.poolDir(config));
    const names = readdirSync(pools).filter((name) => existsSync(join(pools, name, basename(paths.database(config)))));
    return names.sort();
  } catch {
    return [];
  }
}

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
