// Room: snapshotter. Owns the check that a pool is the one that holds the devices of the database.
import type { DeviceState } from "../domain/devices.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { type FoundDevice, LostPool } from "../drivers/port.ts";
import type { Database } from "../metadata/database.ts";
import { type DeviceRecord, listDevices } from "../metadata/devices.ts";
import { beginsFileSystem } from "../system/mount/filesystems.ts";
import type { Context } from "./context.ts";

/** States in which a device may or may not be in the pool. */
const uncertainStates: readonly DeviceState[] = ["creating", "removing", "removed", "faulty"];

const contentDevices = (records: readonly DeviceRecord[]): DeviceRecord[] =>
  records.filter(({ state }) => !uncertainStates.includes(state));

/** Whether the pool must hold devices of this database. */
export const hasContent = (database: Database): boolean => contentDevices(listDevices(database)).length > 0;

/** The content of at most this many devices is read. */
const samples = 3;

const wayBack = "restore the pool from a backup, or move it back to its place";

/**
 * Why a pool that contains `found` cannot be the one that holds the devices of `records`: none of them is there, or what
 * should be their content is empty. Undefined: it can be. (If only some devices are lost, those are marked faulty.)
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
  if (present.length === 0) return new LostPool(pool, `it does not hold ${count} that its database knows`, wayBack);
  // Templates first: snapmill itself has written their content.
  const inactive = present
    .filter(({ deviceName }) => named.get(deviceName)?.active === false)
    .sort((one, other) => Number(other.role === "template") - Number(one.role === "template"))
    .slice(0, samples);
  for (const device of inactive) {
    if (await isAsWritten(driver, device)) return undefined;
  }
  if (inactive.length === 0) return undefined;
  const names = inactive.map(({ deviceName }) => deviceName).join(", ");
  return new LostPool(pool, `nothing of what was written to its devices is there (${names} were examined)`, wayBack);
}

/** The same for the pool as it is now; also the error, if the driver cannot list what is in it. */
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
