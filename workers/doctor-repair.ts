// Room: workers. Owns doctor's repair of a pool on which nothing runs: all that is safe, or what was chosen.
import { paths } from "../src/config.ts";
import { type Finding, findingId } from "../src/domain/findings.ts";
import { freshOperationId } from "../src/domain/identifiers.ts";
import type { Driver } from "../src/drivers/port.ts";
import { type Database, openDatabase } from "../src/metadata/database.ts";
import { type DeviceRecord, listDevices } from "../src/metadata/devices.ts";
import { createSnapshotter } from "../src/snapshotter/snapshotter.ts";
import { lookFromOutside, lookInside, type Patient } from "./doctor-look.ts";
import { isChainAbandoned } from "./pool-locks.ts";

/** Returns what is left. */
export async function mendAll(patient: Patient): Promise<Finding[]> {
  const left = await repairWith(patient, undefined);
  return [...left, ...(await takeOff(patient))];
}

/** The same; what is attached comes off the host together when one of it was chosen, and else stays as it was. */
export async function mendChosen(
  patient: Patient,
  chosen: readonly Finding[],
  wasAttached: boolean,
): Promise<Finding[]> {
  await repairWith(patient, chosen.flatMap(idsInService));
  // The repair sees a pool in service, in which all devices of active snapshots should be active.
  const left = await lookInside(patient);
  if (wasAttached && !chosen.some(isAttached)) {
    return [...(await lookFromOutside(patient.config, patient.driverName)), ...left];
  }
  return [...left.filter((finding) => !isAttached(finding)), ...(await takeOff(patient))];
}

const isAttached = ({ kind }: Finding): boolean => kind === "left-attached";

/** A device at rest that is wrong while nothing runs can be wrong in another way for a repair, which goes by what is to be active. */
const idsInService = ({ kind, subject }: Finding): string[] =>
  kind === "stuck-state" || kind === "left-attached"
    ? (["stuck-state", "wrong-activation"] as const).map((other) => findingId({ kind: other, subject }))
    : [findingId({ kind, subject })];

async function repairWith({ config, driver }: Patient, only: string[] | undefined): Promise<readonly Finding[]> {
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
  const { findings } = await snapshotter.doctor(freshOperationId(), { repair: true, only });
  await snapshotter.drain();
  return findings.filter(({ repaired }) => !repaired);
}

/** Returns what stays on the host. */
async function takeOff({ config, driverName, driver }: Patient): Promise<Finding[]> {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  const busy = await busyDevices(database, driver);
  await driver.close();
  return [...busy, ...(await lookFromOutside(config, driverName))];
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
  repairable: true,
});
