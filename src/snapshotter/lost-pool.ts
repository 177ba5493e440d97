// Room: snapshotter. Owns the question whether a pool is the one that the database has its devices in.
import type { DeviceState } from "../domain/devices.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { type FoundDevice, LostPool } from "../drivers/port.ts";
import type { Database } from "../metadata/database.ts";
import { type DeviceRecord, listDevices } from "../metadata/devices.ts";
import { beginsFileSystem } from "../system/mount/filesystems.ts";
import type { Context } from "./context.ts";

/** Half-made or half gone, or known to be lost: whether these are in the pool says nothing. */
const saysNothing: readonly DeviceState[] = ["creating", "removing", "removed", "faulty"];

const contentDevices = (records: readonly DeviceRecord[]): DeviceRecord[] =>
  records.filter(({ state }) => !saysNothing.includes(state));

/** Whether there must be devices of this database's in its pool. */
export const hasContent = (database: Database): boolean => contentDevices(listDevices(database)).length > 0;

/** How many devices are looked into, at most. */
const samples = 3;

const wayBack = "put back what was there, from a backup or from where it was moved to";

/**
 * Why the pool, in which `found` was found, cannot be the one that holds the devices of `records`: none of them is there,
 * or what should hold their content is empty. Undefined when it can be. (Single devices that are lost are another matter:
 * those are marked faulty.)
 */
export async function findLoss(
  context: Pick<Context, "driver" | "pool">,
  records: readonly DeviceRecord[],
  found: readonly FoundDevice[],
): Promise<LostPool | undefined> {
  const { driver, pool } = context;
  const expected = contentDevices(records);
  if (expected.length === 0) return undefined;
  const named = new Map(found.map((device) => [device.deviceName, device]));
  const present = expected.filter(({ deviceName }) => named.get(deviceName)?.inPool === true);
  const count = expected.length === 1 ? "the device" : `any of the ${expected.length} devices`;
  if (present.length === 0) return new LostPool(pool, `it does not hold ${count} that its database has in it`, wayBack);
  // Templates first: what lies on those was written by snapmill itself.
  const inactive = present
    .filter(({ deviceName }) => named.get(deviceName)?.active === false)
    .sort((one, other) => Number(other.role === "template") - Number(one.role === "template"))
    .slice(0, samples);
  for (const device of inactive) {
    if (await isAsWritten(driver, device)) return undefined;
  }
  if (inactive.length === 0) return undefined;
  const names = inactive.map(({ deviceName }) => deviceName).join(", ");
  return new LostPool(pool, `nothing of what was written to its devices is there (${names} looked into)`, wayBack);
}

/** The same for the pool as it is now; also what kept the driver from saying what is in it. */
export async function lookForLoss(context: Context): Promise<Error | undefined> {
  try {
    const records = listDevices(context.database);
    return await findLoss(context, records, await context.driver.list(records));
  } catch (error) {
    return asSnapmillError(error);
  }
}

async function isAsWritten(driver: Context["driver"], device: DeviceRecord): Promise<boolean> {
  const head = await driver.head(device);
  return device.role === "template" ? beginsFileSystem(head, device.fsType) : head.some((byte) => byte !== 0);
}
