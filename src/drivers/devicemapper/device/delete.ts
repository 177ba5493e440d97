// Room: drivers. Owns the deletion of a thin device by its ID, also from a pool that has run out of metadata.
import type { DeviceId } from "../../../domain/identifiers.ts";
import { type DmControl, isDmError } from "../control/control.ts";
import { isOutOfMetadata } from "../pool/free-space.ts";
import type { ThinPool } from "../pool/thin-pool.ts";

/** Writers that still wait may use up what was made available, once each time. */
const revivals = 3;

/** One that is not there is a success. */
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
 * The kernel keeps metadata back with which a full pool could still delete, but takes no more messages. A new table puts
 * it in service again.
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
