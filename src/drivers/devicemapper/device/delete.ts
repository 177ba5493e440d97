// Room: drivers. Owns the deletion of a thin device by its ID, also from a pool that has run out of metadata.
import type { DeviceId } from "../../../domain/identifiers.ts";
import { type DmControl, isDmError } from "../control/control.ts";
import { isOutOfMetadata } from "../pool/free-space.ts";
import type { ThinPool } from "../pool/thin-pool.ts";

/** How often it is retried: writers that wait may use up the space that each attempt makes available. */
const revivals = 3;

/** A missing device is a success. */
export async function eraseDevice(control: DmControl, pool: ThinPool, deviceId: DeviceId): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await control.message(pool.deviceName, { kind: "delete", deviceId });
      return;
    } catch (error) {
      if (isDmError(error, "ENODATA")) return;
      if (!isDmError(error, "EOPNOTSUPP") || attempt === revivals) throw error;
      if (!isOutOfMetadata(await pool.status())) throw error;
      await revive(control, pool.deviceName);
    }
  }
}

/**
 * The kernel reserves metadata with which a full pool could still delete, but accepts no more messages. A new table makes
 * it accept them again.
 */
async function revive(control: DmControl, deviceName: string): Promise<void> {
  const table = await control.table(deviceName);
  if (table === undefined) return;
  await control.reload(deviceName, table);
  try {
    await control.suspend(deviceName, { lockFs: false });
  } finally {
    await control.resume(deviceName);
  }
}
