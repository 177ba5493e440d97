// Room: service. Owns who holds a device, as operations answer it: a flat object for each holder.
import { z } from "zod";
import { deviceMakers, type FoundHolders, type Holder } from "../domain/holders.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import { watchedHolders } from "../system/block/holders.ts";
import type { Service } from "./service.ts";

export const holder = z.object({
  /** A mount, an open file descriptor, or a device on top of it: of device-mapper, a loop device, or another. */
  how: z.enum(["mount", "descriptor", ...deviceMakers]),
  /** A process that has it open, or the first one in another mount namespace; null: it is none that can be named. */
  pid: z.number().nullable(),
  command: z.string().nullable(),
  /** When that process began. */
  startedAtMs: z.number().nullable(),
  mountPoint: z.string().nullable(),
  /** The number that /proc/PID/ns/mnt shows. */
  mountNamespace: z.number().nullable(),
  /** Whether that is the mount namespace of the snapmill that answers; null: it is no mount. */
  isOwnNamespace: z.boolean().nullable(),
  /** The path of the device on top. */
  device: z.string().nullable(),
});
export type ShownHolder = z.output<typeof holder>;

/** Who holds a device, now. */
export const heldBy = z.object({
  /** At most 20. */
  holders: z.array(holder),
  /** How many more there are. */
  more: z.number(),
  /** False: the search through all processes took too long, so that there may be others. */
  isComplete: z.boolean(),
});
export type HeldBy = z.output<typeof heldBy>;

/** Of each of `devices`, found in one search, which is a few seconds old at most. */
export async function holdersOfDevices(
  { devicePath }: Pick<Service, "devicePath">,
  devices: readonly DeviceName[],
): Promise<ReadonlyMap<DeviceName, FoundHolders>> {
  if (devices.length === 0) return new Map();
  const found = await watchedHolders(devices.map((device) => devicePath(device)));
  return new Map(devices.flatMap((device, index) => (found[index] === undefined ? [] : [[device, found[index]]])));
}

export const shownHolders = ({ holders, ...found }: FoundHolders): HeldBy => ({
  ...found,
  holders: holders.map(shown),
});

const nothing: Omit<ShownHolder, "how"> = {
  pid: null,
  command: null,
  startedAtMs: null,
  mountPoint: null,
  mountNamespace: null,
  isOwnNamespace: null,
  device: null,
};

function shown(found: Holder): ShownHolder {
  switch (found.kind) {
    case "mount": {
      const { mountPoint, namespace: mountNamespace, isOwnNamespace, process } = found;
      return { ...nothing, how: "mount", ...process, mountPoint, mountNamespace, isOwnNamespace };
    }
    case "open":
      return { ...nothing, how: "descriptor", ...found.process };
    case "device":
      return { ...nothing, how: found.madeBy, device: found.device };
  }
}
