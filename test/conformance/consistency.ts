// Owns the check that a fixture is consistent: database, pool and host agree, and nothing is half done.
import type { FoundDevice } from "../../src/drivers/port.ts";
import type { Database } from "../../src/metadata/database.ts";
import { type DeviceRecord, listDevices } from "../../src/metadata/devices.ts";
import { interruptedOperations } from "../../src/metadata/journal.ts";
import { pendingRemovals } from "../../src/metadata/pending-removals.ts";
import { snapshotsOn } from "../../src/metadata/snapshots.ts";
import type { SnapshotterFixture } from "./snapshotter-fixture.ts";

/** Everything that does not fit together, a sentence each. */
export async function inconsistencies({ database, driver }: SnapshotterFixture): Promise<string[]> {
  const complaints = interruptedOperations(database).map(({ job }) => `a ${job} was never settled`);
  const records = listDevices(database);
  const found = new Map((await driver.list(records)).map((device) => [nameOf(device), device]));
  const removals = new Set(pendingRemovals(database).map(({ device }) => device));
  for (const device of records) {
    const there = found.get(device.deviceName);
    found.delete(device.deviceName);
    // A device whose removal is pending belongs to no snapshot, and may still be in use.
    if (isDoomed(database, device) && removals.delete(device.deviceName)) continue;
    complaints.push(...complaintsOf(database, device, there));
  }
  complaints.push(...[...found.keys()].map((deviceName) => `${deviceName} is in no record`));
  complaints.push(...[...removals].map((deviceName) => `${deviceName} has a removal, and does not need it`));
  return complaints;
}

/** Devices left to a job: by the removal of a snapshot, or by an undo that failed because the device is mounted. */
const isDoomed = (database: Database, { number, state }: DeviceRecord): boolean =>
  state === "removed" || (state === "removing" && snapshotsOn(database, number).length === 0);

/** What a pool has under an ID alone is in no record, and so in the way. */
const nameOf = ({ deviceName, deviceId }: FoundDevice): string => deviceName ?? `the device with ID ${deviceId ?? "?"}`;

function complaintsOf(database: Database, device: DeviceRecord, there: FoundDevice | undefined): string[] {
  const { deviceName, state } = device;
  const complaints: string[] = [];
  const kinds = snapshotsOn(database, device.number).map(({ kind }) => kind);
  const expected = kinds.some((kind) => kind !== "committed") ? "activated" : "deactivated";
  if (state !== expected) complaints.push(`${deviceName} of ${kinds.join()} is ${state}, not ${expected}`);
  if (device.operationId !== undefined) complaints.push(`${deviceName} still belongs to an operation`);
  if (there?.inPool !== true) complaints.push(`${deviceName} is not in the pool`);
  if (there?.active !== (expected === "activated")) complaints.push(`${deviceName} should be ${expected}`);
  if (device.role === "snapshot" && kinds.length === 0) complaints.push(`${deviceName} has no snapshot`);
  return complaints;
}
