// Room: snapshotter. Owns the recovery of one device, by the state in which its record was left.
import type { FoundDevice } from "../drivers/port.ts";
import { transact } from "../metadata/database.ts";
import { type DeviceRecord, dropDevice, setDeviceState } from "../metadata/devices.ts";
import { isDiscarded } from "../metadata/pending-removals.ts";
import { type SnapshotRecord, snapshotsOn } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import { deactivateUnlessBusy, leaveToJob, recordTakenBack, removeDevices, takeBack } from "./device-removal.ts";

/** Returns a sentence for each thing done. `found`: what the driver has of the device; undefined: nothing. */
export async function finishInterrupted(
  context: Context,
  device: DeviceRecord,
  found: FoundDevice | undefined,
): Promise<readonly string[]> {
  if (isDiscarded(context.database, device.deviceName)) return [];
  switch (device.state) {
    case "removed":
      // No caller waits for the deletion, and there may be thousands.
      transact(context.database, () => leaveToJob(context, device));
      return [];
    case "creating":
      return undoCreation(context, device);
    case "removing":
      return finishRemoval(context, device);
    case "suspending":
      // The process may have died while the file system was frozen for the commit: thaw it.
      if (found?.inPool === true && found.active) await context.driver.resume(device);
      return bringToRest(context, device, found);
    case "activated":
    case "deactivated":
    case "faulty":
      return bringToRest(context, device, found);
  }
}

async function undoCreation(context: Context, device: DeviceRecord): Promise<string[]> {
  const gone = await takeBack(context, device);
  transact(context.database, () => recordTakenBack(context, device, gone));
  return [
    `device ${device.deviceName} was half-made: ${gone ? "removed" : "it cannot be removed yet, and a job keeps trying"}`,
  ];
}

async function finishRemoval(context: Context, device: DeviceRecord): Promise<readonly string[]> {
  const { left } = await removeDevices(context, [device]);
  return left.length > 0 ? left : [`device ${device.deviceName} was removed in part: removed`];
}

/** Activates the devices of active snapshots and views; deactivates those of committed ones, and templates. */
async function bringToRest(
  context: Context,
  device: DeviceRecord,
  found: FoundDevice | undefined,
): Promise<readonly string[]> {
  const owners = snapshotsOn(context.database, device.number);
  if (found?.inPool !== true) return missing(context, device, owners);
  if (device.role === "snapshot" && owners.length === 0) return finishRemoval(context, device);
  return owners.some(({ kind }) => kind !== "committed")
    ? activateAgain(context, device, found)
    : deactivateAgain(context, device, found);
}

function missing({ database }: Context, device: DeviceRecord, owners: readonly SnapshotRecord[]): readonly string[] {
  if (owners.length === 0) {
    transact(database, () => dropDevice(database, device));
    return [`device ${device.deviceName} is gone from the pool; no snapshot was on it`];
  }
  if (device.state !== "faulty") transact(database, () => setDeviceState(database, device.number, "faulty"));
  const names = owners.map(({ scope, key }) => `${JSON.stringify(key)} (scope ${scope})`).join(", ");
  return [`device ${device.deviceName} is gone from the pool: ${names} is lost and can only be removed`];
}

async function activateAgain(
  { database, driver }: Context,
  device: DeviceRecord,
  found: FoundDevice,
): Promise<string[]> {
  if (!found.active) await driver.activate(device);
  if (device.state === "activated" && device.operationId === undefined) {
    return found.active ? [] : [`device ${device.deviceName} was not active: activated again`];
  }
  transact(database, () => setDeviceState(database, device.number, "activated"));
  return [`device ${device.deviceName} was left ${device.state}: it is active again`];
}

async function deactivateAgain(context: Context, device: DeviceRecord, found: FoundDevice): Promise<string[]> {
  const { database } = context;
  const state = !found.active || (await deactivateUnlessBusy(context, device)) ? "deactivated" : "activated";
  if (state !== device.state || device.operationId !== undefined) {
    transact(database, () => setDeviceState(database, device.number, state));
  }
  return device.state === "deactivated" || device.state === state
    ? []
    : [`device ${device.deviceName} was left ${device.state}: it is ${state}`];
}
