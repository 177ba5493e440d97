// Room: workers. Owns what doctor looks at in a pool on which nothing runs: what is attached to the host, and what is in it.
import { type Config, paths } from "../src/config.ts";
import type { Finding } from "../src/domain/findings.ts";
import { attachedParts } from "../src/drivers/attached.ts";
import { poolUsageOf } from "../src/drivers/open.ts";
import type { Driver, DriverName } from "../src/drivers/port.ts";
import { type Database, openDatabase } from "../src/metadata/database.ts";
import { heldFinding, inspect } from "../src/snapshotter/inspect.ts";
import { isChainAbandoned } from "./pool-locks.ts";

export interface Patient {
  readonly config: Config;
  readonly driverName: DriverName;
  readonly driver: Driver;
}

export const usage = (config: Config, driverName: DriverName) =>
  poolUsageOf(driverName, paths.poolDir(config), config.dmControl).catch(() => undefined);

/** What opening the pool would change. */
export async function lookFromOutside(config: Config, driverName: DriverName): Promise<Finding[]> {
  const parts = await attachedParts(driverName, paths.poolDir(config));
  const isHeld = (await usage(config, driverName))?.isMetadataHeld === true;
  return [...parts.map(leftAttached), ...(isHeld ? [heldFinding(config.pool)] : [])];
}

export async function lookInside({ config, driver }: Patient): Promise<Finding[]> {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  return await inspect({
    database,
    driver,
    pool: config.pool,
    isChainAbandoned: (chain) => isChainAbandoned(config, chain),
    inService: false,
  });
}

export function withDatabase<T>(config: Config, read: (database: Database) => T): T {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  return read(database);
}

const leftAttached = (path: string): Finding => ({
  kind: "left-attached",
  subject: path,
  sentence: `${path} is attached, and no snapmill runs`,
  wayOut: "repair, or the end of the next 'snapmill up', takes it off; if that fails, something uses it",
  repairable: true,
});
