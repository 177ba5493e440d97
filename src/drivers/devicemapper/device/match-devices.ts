// Room: drivers. Owns matching a thin-pool's content, which is known by ID, with active devices, which are known by name.
import type { DeviceRef } from "../../../domain/devices.ts";
import type { DeviceId, DeviceName } from "../../../domain/identifiers.ts";
import type { FoundDevice } from "../../port.ts";

export interface Sighting {
  readonly known: readonly Pick<DeviceRef, "deviceId" | "deviceName">[];
  readonly inPool: ReadonlySet<DeviceId>;
  /** With the ID for names that are not known, if they have one. */
  readonly active: ReadonlyMap<DeviceName, DeviceId | undefined>;
}

export function matchDevices({ known, inPool, active }: Sighting): FoundDevice[] {
  const ids = new Set(inPool);
  const names = new Map(active);
  const found = known.map(({ deviceName, deviceId }) => {
    return { deviceName, deviceId, inPool: ids.has(deviceId), active: names.delete(deviceName) };
  });
  for (const { deviceId } of known) ids.delete(deviceId);
  // The ID is known under another name: only the activation is unknown.
  const strangers = [...names].map(([deviceName, deviceId]) => {
    return { deviceName, deviceId, inPool: deviceId !== undefined && ids.delete(deviceId), active: true };
  });
  const nameless = [...ids].map((deviceId) => ({ deviceName: undefined, deviceId, inPool: true, active: false }));
  return [...found.filter((device) => device.inPool || device.active), ...strangers, ...nameless];
}
