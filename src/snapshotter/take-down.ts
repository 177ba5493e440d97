// Room: snapshotter. Owns how devices are taken down again: after a failure, at removal, or for good.
import { isSnapmillError } from "../domain/errors.ts";
import { ownScope } from "../domain/identifiers.ts";
import { transact } from "../metadata/database.ts";
import { type DeviceRecord, dropDevice, retireDevice, setDeviceState } from "../metadata/devices.ts";
import { forgetImagesOf } from "../metadata/images.ts";
import { settleInterrupted } from "../metadata/journal.ts";
import { dropSnapshot } from "../metadata/snapshot-changes.ts";
import { snapshotsOn } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";

/** Deactivates a device unless someone uses it; whether it is inactive now. */
export async function deactivateUnlessBusy({ driver }: Context, device: DeviceRecord): Promise<boolean> {
  try {
    await driver.deactivate(device);
    return true;
  } catch (error) {
    if (isSnapmillError(error, "failed_precondition")) return false;
    throw error;
  }
}

/** Removes what there is of a half-made device. False: something of it may be left, and it must not be forgotten. */
export async function takeBack({ driver }: Context, device: DeviceRecord): Promise<boolean> {
  try {
    await driver.deactivate(device);
    await driver.delete(device);
    return true;
  } catch {
    // The failure that led here is the one to report; this one is met again when cleanup tries.
    return false;
  }
}

/** Records the end of a half-made device, in the caller's transaction: gone, or still to be removed by cleanup. */
export function recordTakenBack({ database }: Context, device: DeviceRecord, gone: boolean): void {
  if (gone) dropDevice(database, device);
  else retireDevice(database, device.number);
}

const chunkDevices = 64;

export interface Removal {
  readonly removedDevices: number;
  readonly removedSnapshots: number;
  /** What could not be removed, in words. */
  readonly left: readonly string[];
}

/**
 * Removes devices with all snapshots on them. `devices` has children before their parents. One that is in use stays as
 * it is; one whose deletion fails stays `removing`, for the next cleanup.
 */
export async function removeDevices(context: Context, devices: readonly DeviceRecord[]): Promise<Removal> {
  const { database } = context;
  const left: string[] = [];
  let removedDevices = 0;
  let removedSnapshots = 0;
  for (let start = 0; start < devices.length; start += chunkDevices) {
    const chunk = devices.slice(start, start + chunkDevices);
    transact(database, () => {
      for (const { number, operationId } of chunk) setDeviceState(database, number, "removing", operationId);
    });
    const gone: DeviceRecord[] = [];
    for (const device of chunk) {
      const reason = await removeOne(context, device);
      if (reason === undefined) gone.push(device);
      else left.push(`device ${device.deviceName} could not be removed: ${reason}`);
    }
    removedSnapshots += transact(database, () => gone.reduce((count, device) => count + forget(context, device), 0));
    removedDevices += gone.length;
  }
  return { removedDevices, removedSnapshots, left };
}

async function removeOne(context: Context, device: DeviceRecord): Promise<string | undefined> {
  const { database, driver } = context;
  try {
    if (!(await deactivateUnlessBusy(context, device))) {
      // In use, so nothing of it has changed: its snapshots, if it has any left, go on as they are.
      transact(database, () => {
        if (snapshotsOn(database, device.number).length > 0) setDeviceState(database, device.number, "activated");
      });
      return "it is in use";
    }
    await driver.delete(device);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Forgets a device that is gone, and all on it, in the caller's transaction; returns how many snapshots those were. */
export function forget({ database }: Context, device: DeviceRecord): number {
  const snapshots = snapshotsOn(database, device.number);
  for (const snapshot of snapshots) {
    dropSnapshot(database, snapshot);
    if (snapshot.kind === "committed" && snapshot.scope === ownScope) forgetImagesOf(database, snapshot.key);
  }
  dropDevice(database, device);
  if (device.operationId !== undefined) settleInterrupted(database, device.operationId);
  return snapshots.length;
}
