// Room: domain. Owns what a device is and the states that are recorded for it.
import type { DeviceId, DeviceName } from "./identifiers.ts";

export const fsTypes = ["ext4", "xfs"] as const;
export type FsType = (typeof fsTypes)[number];

/**
 * The recorded states of a device. The -ing state is recorded before the first effect, the -ed state after the last: a
 * device found in an -ing state at start was interrupted half-way, and is finished or undone. `suspending`: its commit
 * is under way. `faulty`: a snapshot's device whose content is no longer in the pool.
 */
export const deviceStates = [
  "creating",
  "activated",
  "suspending",
  "deactivated",
  "removing",
  "removed",
  "faulty",
] as const;
export type DeviceState = (typeof deviceStates)[number];

/** What a driver needs to know of a device to act on it. */
export interface DeviceRef {
  readonly deviceId: DeviceId;
  readonly deviceName: DeviceName;
  readonly sizeBytes: number;
}
