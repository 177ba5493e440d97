// Room: snapshotter. Owns the recovery of a pool: the records and what is really there are made to agree.
import {
  type DeviceId,
  type DeviceName,
  deviceNumber,
  maxDeviceId,
  type OperationId,
  deviceId as toDeviceId,
  deviceName as toDeviceName,
} from "../domain/identifiers.ts";
import { choosesDevice, everything, type RepairChoice } from "../domain/repair-choice.ts";
import type { FoundDevice } from "../drivers/port.ts";
import { transact } from "../metadata/database.ts";
import {
  hasDevice,
  isForeign,
  lastDeviceNumber,
  listDevices,
  recordForeign,
  recordForeignId,
  wasGivenBack,
} from "../metadata/devices.ts";
import { forgetOperation, interruptedOperations } from "../metadata/journal.ts";
import type { Context } from "./context.ts";
import { finishInterrupted } from "./reconcile-device.ts";

/** A sentence for each thing that was found and done; none when all was in order. */
export interface RecoveryReport {
  readonly lines: readonly string[];
}

/**
 * Finishes or undoes what was half-done when a worker died or a command timed out; activates the devices of active
 * snapshots after a reboot; marks devices faulty whose content is gone. No operation runs at the same time. A device that
 * cannot be recovered is reported, and tried again the next time; the others are recovered all the same, as are those
 * of a `choice`.
 */
export async function reconcile(context: Context, choice: RepairChoice = everything): Promise<RecoveryReport> {
  const { database, driver } = context;
  const lines: string[] = [];
  const lastOwnNumber = lastDeviceNumber(database);
  const records = listDevices(database);
  const found = await driver.list(records);
  const named = new Map(found.map((device) => [device.deviceName, device]));
  const halfDone = interruptedOperations(database).filter(({ operationId }) => hasDevice(database, operationId));
  for (const device of records) {
    if (!choosesDevice(choice, device.deviceName)) continue;
    const put = () => finishInterrupted(context, device, named.get(device.deviceName));
    lines.push(...(await inWords(device.deviceName, put)));
  }
  const known = new Set(records.map(({ deviceName }) => deviceName));
  for (const unknown of found) {
    if (unknown.deviceName !== undefined && known.has(unknown.deviceName)) continue;
    const id = `ID ${unknown.deviceId ?? "unknown"}`;
    if (!choosesDevice(choice, unknown.deviceName ?? id)) continue;
    const name = unknown.deviceName ?? `with ${id}`;
    lines.push(...(await inWords(name, () => handleUnknown(context, unknown, lastOwnNumber))));
  }
  // With the last of its devices an operation is undone, whether it was itself chosen or not.
  const undone = new Set(halfDone.map(({ operationId }) => operationId));
  const isUndone = (operationId: OperationId) =>
    undone.has(operationId) || choice({ kind: "interrupted-operation", subject: operationId });
  lines.push(...forgetInterrupted(context, isUndone));
  return { lines };
}

async function inWords(device: string, action: () => Promise<readonly string[]>): Promise<readonly string[]> {
  try {
    return await action();
  } catch (error) {
    return [`device ${device} could not be put in order: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/**
 * Handles a device in the pool that has no record. It is deleted only if this database gave out its number and dropped
 * the record, which happens after its deletion was confirmed: then a command that had timed out took effect late. A number
 * that this database never reached comes from another one (a restored backup, a new database on an old pool): the device
 * may hold content that is needed, so it stays for ever, and its name is not given to a new device.
 */
async function handleUnknown(context: Context, unknown: FoundDevice, lastOwnNumber: number): Promise<string[]> {
  const { database, pool } = context;
  const { deviceName, deviceId } = unknown;
  if (deviceName === undefined) return deviceId === undefined ? [] : await handleUnknownId(context, deviceId);
  const number = deviceNumber(pool, deviceName);
  if (number === undefined) return [`device ${deviceName} in the pool is not snapmill's: left alone`];
  if (number > lastOwnNumber) transact(database, () => recordForeign(database, deviceName, number));
  if (!isForeign(database, deviceName)) return await deleteLeftover(context, { ...unknown, deviceName });
  if (unknown.inPool && deviceId !== undefined) transact(database, () => recordForeignId(database, deviceId));
  return [`device ${deviceName} is not known to this database, which may be older than the pool: left alone`];
}

/** The same for content that only has an ID. */
async function handleUnknownId(context: Context, deviceId: DeviceId): Promise<string[]> {
  const { database, driver, pool } = context;
  if (wasGivenBack(database, deviceId)) {
    // It is inactive, or it would have a name; no device ever has the number 0.
    await driver.delete({ deviceId, deviceName: toDeviceName(pool, 0), sizeBytes: 0 });
    return [`the device with ID ${deviceId} was left over from a removal: deleted`];
  }
  transact(database, () => recordForeignId(database, deviceId));
  return [
    `the device with ID ${deviceId} in the pool is not known to this database, which may be older than the pool: left alone`,
  ];
}

interface Leftover extends FoundDevice {
  readonly deviceName: DeviceName;
}

async function deleteLeftover({ driver }: Context, { deviceName, deviceId, inPool }: Leftover): Promise<string[]> {
  // A driver that goes by ID has reported it; one that goes by name ignores the ID.
  const device = { deviceName, deviceId: deviceId ?? toDeviceId(maxDeviceId), sizeBytes: 0 };
  if (await driver.isBusy(device)) return [`device ${deviceName} was removed before, but is in use: left alone`];
  await driver.deactivate(device);
  if (inPool) await driver.delete(device);
  return [`device ${deviceName} was left over from a removal: deleted`];
}

/**
 * Every operation that is still intended has been undone or finished above, so the same request may be made again. The
 * exception is a removal that cannot be finished yet: its device keeps the operation's ID until it is.
 */
function forgetInterrupted({ database }: Context, isUndone: (operationId: OperationId) => boolean): string[] {
  const forgotten = interruptedOperations(database).filter(
    ({ operationId }) => !hasDevice(database, operationId) && isUndone(operationId),
  );
  transact(database, () => {
    for (const { operationId } of forgotten) forgetOperation(database, operationId);
  });
  return forgotten.map(({ operationId, job }) => `operation ${operationId} (${job}) was interrupted: undone`);
}
