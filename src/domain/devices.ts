// Room: domain. Owns what a device is and the states that are recorded for it.
import type { DeviceId, DeviceName } from "./identifiers.ts";

export const fsTypes = ["ext4", "xfs"] as const;
export type FsType = (typeof fsTypes)[number];

/**
 * The recorded states of a device. `creating`, `suspending` and `removing` are recorded before the first effect: a device
 * that is found in one of them at start was interrupted, and its operation is finished or undone.
 */
export const deviceStates = [
  /** It is being made, and has no snapshot yet. */
  "creating",
  "activated",
  /** Its snapshot is being committed. */
  "suspending",
  "deactivated",
  /** It is being deleted; its snapshots go once it is gone. */
  "removing",
  /** It has no snapshot any more, and a job deletes it. */
  "removed",
  /** Its content is not in the pool any more. */
  "faulty",
] as const;
export type DeviceState = (typeof deviceStates)[number];

/** What a driver needs to know of a device to act on it. */
export interface DeviceRef {
  readonly deviceId: DeviceId;
  readonly deviceName: DeviceName;
  readonly sizeBytes: number;
}

/** Where whoever has a device mounted can leave copies of it, to become devices: see `Driver.adopt`. */
export interface DraftCopies {
  /** The device's content, whenever it is at rest. */
  readonly file: string;
  /** To be made if it is not there. */
  readonly directory: string;
}
