// Room: metadata. Owns what only doctor asks of the database: whether it contradicts itself.
import { eq, inArray } from "drizzle-orm";
import type { DeviceId } from "../domain/identifiers.ts";
import type { Database } from "./database.ts";
import { devices, freeDeviceIds } from "./schema.ts";

/** IDs that are down as free and have a device: the next device would be made over that one. */
export const freeIdsInUse = (database: Database): DeviceId[] =>
  database.drizzle
    .select()
    .from(freeDeviceIds)
    .where(inArray(freeDeviceIds.deviceId, database.drizzle.select({ deviceId: devices.deviceId }).from(devices)))
    .all()
    .map(({ deviceId }) => deviceId);

/** The ID is handed out no more until its device is gone. */
export function takeFromFree(database: Database, deviceId: DeviceId): void {
  database.drizzle.delete(freeDeviceIds).where(eq(freeDeviceIds.deviceId, deviceId)).run();
}
