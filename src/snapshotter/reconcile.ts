// Room: snapshotter. Owns putting the pool in order: what the database says and what is really there are made to agree.
import {
  type DeviceId,
  type DeviceName,
  deviceNumber,
  maxDeviceId,
  deviceId as toDeviceId,
  deviceName as toDeviceName,
} from "../domain/identifiers.ts";
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

/** What was found and done, a sentence each; empty when all was in order. */
export interface RecoveryReport {
  readonly lines: readonly string[];
}

/**
 * Finishes or undoes whatever was half-way when a worker died or a command ran out of time; brings active snapshots
 * back after a reboot; marks devices faulty whose content is gone. No operation is under way meanwhile. One device that
 * cannot be put in order does not keep the others from it: it is reported, and tried again the next time.
 */
export async function reconcile(context: Context): Promise<RecoveryReport> {
  const { database, driver } = context;
  const lines: string[] = [];
  const lastOwnNumber = lastDeviceNumber(database);
  const records = listDevices(database);
  const found = await driver.list(records);
  const named = new Map(found.map((device) => [device.deviceName, device]));
  for (const device of records) {
    const put = () => finishInterrupted(context, device, named.get(device.deviceName));
    lines.push(...(await inWords(device.deviceName, put)));
  }
  const known = new Set(records.map(({ deviceName }) => deviceName));
  for (const stranger of found) {
    if (stranger.deviceName !== undefined && known.has(stranger.deviceName)) continue;
    const name = stranger.deviceName ?? `with ID ${stranger.deviceId ?? "unknown"}`;
    lines.push(...(await inWords(name, () => meetStranger(context, stranger, lastOwnNumber))));
  }
  lines.push(...forgetInterrupted(context));
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
 * A device in the pool that no record knows. It is ours to delete only when its number was handed out by this database
 * and its record dropped, which happens after its deletion was confirmed: a command that had run out of time came
 * through late. A number that this database never reached is another one's (a restored backup, a new database over an
 * old pool): it may be somebody's content, so it stays, for ever, and its name is not given to a new device.
 */
async function meetStranger(context: Context, stranger: FoundDevice, lastOwnNumber: number): Promise<string[]> {
  const { database, pool } = context;
  const { deviceName, deviceId } = stranger;
  if (deviceName === undefined) return deviceId === undefined ? [] : await meetId(context, deviceId);
  const number = deviceNumber(pool, deviceName);
  if (number === undefined) return [`device ${deviceName} in the pool is not snapmill's: left alone`];
  if (number > lastOwnNumber) transact(database, () => recordForeign(database, deviceName, number));
  if (!isForeign(database, deviceName)) return await deleteLeftover(context, { ...stranger, deviceName });
  if (stranger.inPool && deviceId !== undefined) transact(database, () => recordForeignId(database, deviceId));
  return [`device ${deviceName} is not known to this database, which may be older than the pool: left alone`];
}

/** The same for content that has nothing but an ID. */
async function meetId(context: Context, deviceId: DeviceId): Promise<string[]> {
  const { database, driver, pool } = context;
  if (wasGivenBack(database, deviceId)) {
    // Not active, or it would have had a name; no device ever has the number 0.
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
  // A driver that goes by ID has said which; to one that goes by name the last ID, hardly anybody's, says nothing.
  const device = { deviceName, deviceId: deviceId ?? toDeviceId(maxDeviceId), sizeBytes: 0 };
  if (await driver.isBusy(device)) return [`device ${deviceName} was removed before, but is in use: left alone`];
  await driver.deactivate(device);
  if (inPool) await driver.delete(device);
  return [`device ${deviceName} was left over from a removal: deleted`];
}

/**
 * What is still intended has been undone or finished above, and the same request may be made again. But for a removal
 * that could not be finished even now: its device still carries its name, for whoever does.
 */
function forgetInterrupted({ database }: Context): string[] {
  const forgotten = interruptedOperations(database).filter(({ operationId }) => !hasDevice(database, operationId));
  transact(database, () => {
    for (const { operationId } of forgotten) forgetOperation(database, operationId);
  });
  return forgotten.map(({ operationId, job }) => `operation ${operationId} (${job}) was interrupted: undone`);
}
