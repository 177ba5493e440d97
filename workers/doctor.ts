// Room: workers. Owns doctor's look at a pool on which nothing runs: under the pool's lock, and without a queue.
import { type Config, paths, poolSettings, readConfig } from "../src/config.ts";
import { aborted, asSnapmillError, failedPrecondition } from "../src/domain/errors.ts";
import { compareInspections, type Diagnosis, type Finding, unrepaired } from "../src/domain/findings.ts";
import { repairablesIn } from "../src/domain/repair-choice.ts";
import { createDriver, driverOfPool, recordedDriver } from "../src/drivers/open.ts";
import type { DriverName, LostPool } from "../src/drivers/port.ts";
import { openDatabase } from "../src/metadata/database.ts";
import { listDevices } from "../src/metadata/devices.ts";
import { readPool } from "../src/metadata/pool.ts";
import { findLoss, hasContent } from "../src/snapshotter/lost-pool.ts";
import { lookFromOutside, lookInside, type Patient, usage, withDatabase } from "./doctor-look.ts";
import { mendAll, mendChosen } from "./doctor-repair.ts";
import { lockPool } from "./pool-locks.ts";
import { endWithOutcomeOf, untilSignalled } from "./run-process.ts";

/** A step that has begun is finished, and what it holds is released. */
let isToldToStop = false;
void untilSignalled().then(() => {
  isToldToStop = true;
});

interface Request {
  readonly repair: boolean;
  /** Undefined: all that is safe. */
  readonly only: readonly string[] | undefined;
}

async function diagnose(config: Config, { repair, only }: Request): Promise<Diagnosis[]> {
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
    if (!repair) return unrepaired(before);
    if (only === undefined) return compareInspections(before, await mendAll(patient));
    const chosen = repairablesIn(before, only);
    if (chosen.length === 0) return unrepaired(before);
    return compareInspections(before, await mendChosen(patient, chosen, wasAttached));
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

async function lookForLoss({ config, driver }: Patient): Promise<LostPool | undefined> {
  const records = withDatabase(config, listDevices);
  return await findLoss({ driver, pool: config.pool }, records, await driver.list(records));
}

const lossFinding = ({ pool }: Config, { message }: LostPool): Finding => ({
  kind: "pool-state",
  subject: pool,
  sentence: message,
  wayOut: "repair changes nothing before that is done",
  repairable: false,
});

const missing = (config: Config): Finding => ({
  kind: "pool-state",
  subject: config.pool,
  sentence: `the database knows the pool, but nothing of it is in ${paths.poolDir(config)}`,
  wayOut: "put its files back; to begin anew, give up all its snapshots by 'snapmill pool reset --yes'",
  repairable: false,
});

const unopened = ({ pool }: Config, error: unknown): Finding => ({
  kind: "pool-state",
  subject: pool,
  sentence: `the pool cannot be opened: ${asSnapmillError(error).message}`,
  wayOut: "what is said there comes first; then look again",
  repairable: false,
});

function requestIn(args: readonly string[]): Request {
  const only = args.flatMap((arg) => (arg.startsWith("--only=") ? [arg.slice("--only=".length)] : []));
  return { repair: args.includes("--repair"), only: only.length === 0 ? undefined : only };
}

await endWithOutcomeOf("doctor", async () => ({
  findings: await diagnose(readConfig(), requestIn(process.argv)),
}));
