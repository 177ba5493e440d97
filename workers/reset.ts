// Room: workers. Owns the reset of a pool on which nothing runs, lost or not: under the pool's lock, and without a queue.
import { type Config, paths, poolSettings, readConfig } from "../src/config.ts";
import { failedPrecondition } from "../src/domain/errors.ts";
import { freshOperationId } from "../src/domain/identifiers.ts";
import { abandonPool } from "../src/drivers/abandon.ts";
import { createDriver, recordedDriver } from "../src/drivers/open.ts";
import { type Driver, LostPool } from "../src/drivers/port.ts";
import type { Result } from "../src/jobs/contract.ts";
import { type Database, openDatabase, transact } from "../src/metadata/database.ts";
import { forgetContent, readPool } from "../src/metadata/pool.ts";
import { hasContent } from "../src/snapshotter/lost-pool.ts";
import { createSnapshotter } from "../src/snapshotter/snapshotter.ts";
import { lockPool } from "./pool-locks.ts";
import { endWithOutcomeOf, untilSignalled } from "./run-process.ts";

/** A reset that has begun is finished: half of it would have to be done again. */
void untilSignalled();

async function reset(config: Config): Promise<Result<"reset-pool">> {
  using _lock = await lockPool(config);
  using database = openDatabase(paths.database(config), { mode: "readwrite" });
  const recorded = readPool(database)?.driver;
  if (recorded === undefined) throw failedPrecondition(`${database.path} has no pool yet: there is nothing to reset`);
  const driver = createDriver({ ...poolSettings(config), driver: recordedDriver(recorded) });
  try {
    await driver.open({ mustExist: hasContent(database) });
  } catch (error) {
    if (!(error instanceof LostPool)) throw error;
    await abandonPool(driver.name, { pool: config.pool, poolDir: paths.poolDir(config), dmControl: config.dmControl });
    return { removedDevices: transact(database, () => forgetContent(database)) };
  }
  try {
    return await removeAll(config, database, driver);
  } finally {
    await driver.close();
  }
}

async function removeAll(config: Config, database: Database, driver: Driver): Promise<Result<"reset-pool">> {
  const { pool, fsType, deviceSizeBytes } = config;
  const snapshotter = createSnapshotter({ database, driver, pool, fsType, deviceSizeBytes, acceptLoss: true });
  const result = await snapshotter["reset-pool"](freshOperationId(), {});
  await snapshotter.drain();
  return result;
}

await endWithOutcomeOf("reset", () => reset(readConfig()));
