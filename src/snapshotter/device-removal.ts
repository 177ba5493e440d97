// Room: snapshotter. Owns how devices are taken down again: after a failure, at removal, or for good.
import { isSnapmillError } from "../domain/errors.ts";
import { ownScope } from "../domain/identifiers.ts";
import { transact } from "../metadata/database.ts";
import { type DeviceRecord, dropDevice, retireDevice, setDeviceState } from "../metadata/devices.ts";
import { forgetImagesOf } from "../metadata/images.ts";
import { settleInterrupted } from "../metadata/journal.ts";
import { addRemoval, dropRemoval } from "../metadata/pending-removals.ts";
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
export async function takeBack({ driver, reach }: Context, device: DeviceRecord): Promise<boolean> {
  try {
    await driver.deactivate(device);
    reach("take-back.deactivated");
    await driver.delete(device);
    reach("take-back.deleted");
    return true;
  } catch {
    // The failure that led here is the one to report; this one is met again by the job that the rest is left to.
    return false;
  }
}

/** Records the end of a half-made device, in the caller's transaction: gone, or left to a job. */
export function recordTakenBack(context: Context, device: DeviceRecord, gone: boolean): void {
  if (gone) dropDevice(context.database, device);
  else retire(context, device);
}

/** A device with nothing on it is to be removed as soon as that is possible. In the caller's transaction. */
export function retire(context: Context, device: DeviceRecord): void {
  retireDevice(context.database, device.number);
  leaveToJob(context, device);
}

/** Has the deletion of a device tried until it succeeds, by a job that survives everything. In the caller's transaction. */
export function leaveToJob({ database, onRemovalQueued }: Context, { deviceName }: DeviceRecord): void {
  if (addRemoval(database, deviceName)) onRemovalQueued();
}

/** A device that was to be removed is in use, with its snapshots: they stay. In the caller's transaction. */
export function goOn({ database }: Context, { number, deviceName }: DeviceRecord): void {
  setDeviceState(database, number, "activated");
  dropRemoval(database, deviceName);
}

const chunkDevices = 32;

export interface Removal {
  readonly removedDevices: number;
  readonly removedSnapshots: number;
  /** What could not be removed, in words. */
  readonly left: readonly string[];
}

/**
 * Removes devices with all snapshots on them. `devices` has children before their parents. One that is in use stays as
 * it is; one whose deletion fails, or that has no snapshots any more, stays to be removed, by a job. After `withinMs` no
 * more are begun.
 */
export async function removeDevices(
  context: Context,
  devices: readonly DeviceRecord[],
  { withinMs = Number.POSITIVE_INFINITY } = {},
): Promise<Removal> {
  const { database } = context;
  const untilMs = performance.now() + withinMs;
  const left: string[] = [];
  let removedDevices = 0;
  let removedSnapshots = 0;
  for (let start = 0; start < devices.length && performance.now() < untilMs; start += chunkDevices) {
    const chunk = devices.slice(start, start + chunkDevices);
    transact(database, () => {
      for (const { number, state, operationId } of chunk) {
        if (state !== "removed") setDeviceState(database, number, "removing", operationId);
      }
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
  const { database, driver, reach } = context;
  reach("clear.intended");
  try {
    if (!(await deactivateUnlessBusy(context, device))) {
      // So nothing of it has changed: its snapshots, if it has any left, go on as they are.
      transact(database, () => {
        if (snapshotsOn(database, device.number).length > 0) goOn(context, device);
        else leaveToJob(context, device);
      });
      return "it is in use";
    }
    reach("clear.deactivated");
    await driver.delete(device);
    reach("clear.deleted");
    return undefined;
  } catch (error) {
    transact(database, () => leaveToJob(context, device));
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
  dropRemoval(database, device.deviceName);
  if (device.operationId !== undefined) settleInterrupted(database, device.operationId);
  return snapshots.length;
}
