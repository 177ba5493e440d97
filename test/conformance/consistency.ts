// Owns the question whether a stage is consistent: database, pool and host say the same, and nothing is half-way.
import { listDevices } from "../../src/metadata/devices.ts";
import { interruptedOperations } from "../../src/metadata/journal.ts";
import { snapshotsOn } from "../../src/metadata/snapshots.ts";
import type { Stage } from "./stage.ts";

/** Everything that does not fit together, a sentence each. */
export async function inconsistencies({ database, driver }: Stage): Promise<string[]> {
  const complaints = interruptedOperations(database).map(({ job }) => `a ${job} was never settled`);
  const found = new Map((await driver.list()).map((device) => [device.deviceName, device]));
  for (const device of listDevices(database)) {
    const { deviceName, state } = device;
    const there = found.get(deviceName);
    found.delete(deviceName);
    const kinds = snapshotsOn(database, device.number).map(({ kind }) => kind);
    const expected = kinds.some((kind) => kind !== "committed") ? "activated" : "deactivated";
    if (state !== expected) complaints.push(`${deviceName} of ${kinds.join()} is ${state}, not ${expected}`);
    if (device.operationId !== undefined) complaints.push(`${deviceName} still belongs to an operation`);
    if (there?.inPool !== true) complaints.push(`${deviceName} is not in the pool`);
    if (there?.active !== (expected === "activated")) complaints.push(`${deviceName} should be ${expected}`);
    if (device.role === "snapshot" && kinds.length === 0) complaints.push(`${deviceName} has no snapshot`);
  }
  complaints.push(...[...found.keys()].map((deviceName) => `${deviceName} is in no record`));
  return complaints;
}
