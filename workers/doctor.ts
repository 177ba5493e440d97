// Room: workers. Owns doctor's look at a pool on which nothing runs: under the pool's lock, and without a queue.
import { type Config, paths, poolSettings, readConfig } from "../src/config.ts";
import { aborted, asSnapmillError, failedPrecondition } from "../src/domain/errors.ts";
import { compareInspections, type Diagnosis, type Finding, unrepaired } from "../src/domain/findings.ts";
import { freshOperationId } from "../src/domain/identifiers.ts";
import { attachedParts } from "../src/drivers/attached.ts";
import { createDriver, driverOfPool, poolUsageOf, recordedDriver } from "../src/drivers/open.ts";
import type { Driver, DriverName, LostPool } from "../src/drivers/port.ts";
import { type Database, openDatabase } from "../src/metadata/database.ts";
import { type DeviceRecord, listDevices } from "../src/metadata/devices.ts";
import { readPool } from "../src/metadata/pool.ts";
import { heldFinding, inspect } from "../src/snapshotter/inspect.ts";
import { findLoss, hasContent } from "../src/snapshotter/lost-pool.ts";
import { createSnapshotter } from "../src/snapshotter/snapshotter.ts";
import { isChainAbandoned, lockPool } from "./pool-locks.ts";
import { endWithOutcomeOf, untilSignalled } from "./run-process.ts";

interface Patient {
  readonly config: Config;
  readonly driverName: DriverName;
  readonly driver: Driver;
}

/** A step that has begun is finished, and what it holds is released. */
let isToldToStop = false;
void untilSignalled().then(() => {
  isToldToStop = true;
});

async function diagnose(config: Config, repair: boolean): Promise<Diagnosis[]> {
  using _lock = await lockPool(config);
  const driverName = driverOnRecord(config);
  if (driverOfPool(paths.poolDir(config)) === undefined) return unrepaired([missing(config)]);
  const driver = createDriver({ ...poolSettings(config), driver: driverName });
  const wasAttached = (await usage(config, driverName)) !== undefined;
  const before = await lookFromOutside(config, driverName);
  try {
    await driver.open({ mustExist: withDatabase(config, hasContent) });
  } catch (error) {
    return unrepaired([...before, unopened(config, error)]);
  }
  try {
    const patient = { config, driverName, driver };
    before.push(...(await lookInside(patient)));
    const loss = await lookForLoss(patient);
    // In what is not the pool nothing is mended, and nothing counts as an error of its devices.
    if (loss !== undefined) return unrepaired([lossFinding(config, loss)]);
    if (isToldToStop) throw aborted("the look at the pool was interrupted; nothing was repaired");
    if (repair) return compareInspections(before, await mend(patient));
    return unrepaired(before);
  } finally {
    // Looking leaves the pool as it was found: attached or not, and what is active, active.
    if (!wasAttached) await driver.close();
  }
}

function driverOnRecord(config: Config): DriverName {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  const driver = readPool(database)?.driver;
  if (driver !== undefined) return recordedDriver(driver);
  throw failedPrecondition(`${paths.database(config)} has no pool yet: start one with 'snapmill up'`);
}

const usage = (config: Config, driverName: DriverName) =>
  poolUsageOf(driverName, paths.poolDir(config), config.dmControl).catch(() => undefined);

/** What opening the pool would change. */
async function lookFromOutside(config: Config, driverName: DriverName): Promise<Finding[]> {
  const parts = await attachedParts(driverName, paths.poolDir(config));
  const isHeld = (await usage(config, driverName))?.isMetadataHeld === true;
  return [...parts.map(leftAttached), ...(isHeld ? [heldFinding(config.pool)] : [])];
}

async function lookForLoss({ config, driver }: Patient): Promise<LostPool | undefined> {
  const records = withDatabase(config, listDevices);
  return await findLoss({ driver, pool: config.pool }, records, await driver.list(records));
}

function withDatabase<T>(config: Config, read: (database: Database) => T): T {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  return read(database);
}

async function lookInside({ config, driver }: Patient): Promise<Finding[]> {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  return await inspect({
    database,
    driver,
    pool: config.pool,
    isChainAbandoned: (chain) => isChainAbandoned(config, chain),
    inService: false,
  });
}

/** Returns what is left. */
async function mend({ config, driverName, driver }: Patient): Promise<Finding[]> {
  using database = openDatabase(paths.database(config), { mode: "readwrite" });
  const { pool, fsType, deviceSizeBytes } = config;
  const snapshotter = createSnapshotter({
    database,
    driver,
    pool,
    fsType,
    deviceSizeBytes,
    isChainAbandoned: (chain) => isChainAbandoned(config, chain),
  });
  const { findings } = await snapshotter.doctor(freshOperationId(), { repair: true });
  await snapshotter.drain();
  const busy = await busyDevices(database, driver);
  await driver.close();
  const left = findings.filter(({ repaired }) => !repaired);
  return [...left, ...busy, ...(await lookFromOutside(config, driverName))];
}

/** Devices that closing the pool has to leave active. */
async function busyDevices(database: Database, driver: Driver): Promise<Finding[]> {
  const records = listDevices(database);
  const active = new Set((await driver.list(records)).flatMap((device) => (device.active ? device.deviceName : [])));
  const busy: Finding[] = [];
  for (const record of records) {
    if (active.has(record.deviceName) && (await driver.isBusy(record))) busy.push(busyFinding(record));
  }
  return busy;
}

const busyFinding = ({ deviceName }: DeviceRecord): Finding => ({
  kind: "left-attached",
  subject: deviceName,
  sentence: `device ${deviceName} is active, and mounted or open, and no snapmill runs`,
  wayOut: "unmount or close it; then repair deactivates it",
});

const leftAttached = (path: string): Finding => ({
  kind: "left-attached",
  subject: path,
  sentence: `${path} is attached, and no snapmill runs`,
  wayOut: "repair, or the end of the next 'snapmill up', takes it off; if that fails, something uses it",
});

const lossFinding = ({ pool }: Config, { message }: LostPool): Finding => ({
  kind: "pool-state",
  subject: pool,
  sentence: message,
  wayOut: "repair changes nothing before that is done",
});

const missing = (config: Config): Finding => ({
  kind: "pool-state",
  subject: config.pool,
  sentence: `the database knows the pool, but nothing of it is in ${paths.poolDir(config)}`,
  wayOut: "put its files back; to begin anew, give up all its snapshots by 'snapmill pool reset --yes'",
});

const unopened = ({ pool }: Config, error: unknown): Finding => ({
  kind: "pool-state",
  subject: pool,
  sentence: `the pool cannot be opened: ${asSnapmillError(error).message}`,
  wayOut: "what is said there comes first; then look again",
});

await endWithOutcomeOf("doctor", async () => ({
  findings: await diagnose(readConfig(), process.argv.includes("--repair")),
}));
