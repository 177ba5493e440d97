// Room: snapshotter. Owns how devices are removed: half-made ones, those of removed snapshots, and all of a pool.
import { isSnapmillError } from "../domain/errors.ts";
import { describeUse } from "../domain/holders.ts";
import { ownScope } from "../domain/identifiers.ts";
import { type Database, transact } from "../metadata/database.ts";
import { type DeviceRecord, dropDevice, retireDevice, setDeviceState } from "../metadata/devices.ts";
import { forgetImagesOf } from "../metadata/images.ts";
import { settleInterrupted } from "../metadata/journal.ts";
import { addRemoval, dropRemoval, type RemovedSnapshot } from "../metadata/pending-removals.ts";
import { dropSnapshot } from "../metadata/snapshot-changes.ts";
import { inheritedBytes, type SnapshotRecord, snapshotsOn } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";

/** Deactivates a device unless it is in use; returns whether it is inactive now. */
export async function deactivateUnlessBusy({ driver }: Context, device: DeviceRecord): Promise<boolean> {
  try {
    await driver.deactivate(device);
    return true;
  } catch (error) {
    if (isSnapmillError(error, "failed_precondition")) return false;
    throw error;
  }
}

/** Removes what exists of a half-made device. False: something of it may be left, so its record must stay. */
export async function takeBack({ driver, reach }: Context, device: DeviceRecord): Promise<boolean> {
  try {
    await driver.deactivate(device);
    reach("take-back.deactivated");
    await driver.delete(device);
    reach("take-back.deleted");
    return true;
  } catch {
    // The caller reports the failure that led here; a job removes the rest, and meets this failure again.
    return false;
  }
}

/** Records that a half-made device is gone, or leaves it to a job. In the caller's transaction. */
export function recordTakenBack(context: Context, device: DeviceRecord, gone: boolean): void {
  if (gone) dropDevice(context.database, device);
  else retire(context, device);
}

/** Marks a device without snapshots as removed, and leaves its deletion to a job. In the caller's transaction. */
export function retire(context: Context, device: DeviceRecord): void {
  retireDevice(context.database, device.number);
  leaveToJob(context, device);
}

/**
 * Leaves the deletion of a device to a job, which survives a restart and retries. `snapshot`: the last one on it. In the
 * caller's transaction.
 */
export function leaveToJob(
  { database, onRemovalQueued }: Context,
  { deviceName }: DeviceRecord,
  snapshot?: RemovedSnapshot,
): void {
  if (addRemoval(database, deviceName, snapshot)) onRemovalQueued();
}

/** What a removal's record keeps of the snapshot that is about to go. */
export function removedSnapshot(database: Database, snapshot: SnapshotRecord): RemovedSnapshot {
  const { scope, key, usedBytes } = snapshot;
  return { scope, key, usedBytes, inheritedBytes: inheritedBytes(database, snapshot) };
}

/** Takes back a removal: the device is in use, so it stays, with its snapshots. In the caller's transaction. */
export function keepInUse({ database }: Context, { number, deviceName }: DeviceRecord): void {
  setDeviceState(database, number, "activated");
  dropRemoval(database, deviceName);
}

const chunkDevices = 32;

export interface Removal {
  readonly removedDevices: number;
  readonly removedSnapshots: number;
  /** A sentence for each device that could not be removed. */
  readonly left: readonly string[];
}

/**
 * Removes devices with all snapshots on them. `devices` lists children before their parents. A device that is in use stays
 * as it is; if it has no snapshots any more, or if a deletion fails, a job removes it later. After `withinMs` no further
 * removal begins.
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
      // Nothing of the device has changed, so its snapshots, if it has any, stay in use.
      transact(database, () => {
        if (snapshotsOn(database, device.number).length > 0) keepInUse(context, device);
        else leaveToJob(context, device);
      });
      return `it is ${describeUse(await driver.holders(device))}`;
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

/** Drops the records of a device that is gone and of its snapshots; returns how many snapshots. In the caller's transaction. */
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
