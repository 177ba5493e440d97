// Room: snapshotter. Owns what every verb is given: the database, the driver, the settings for new devices, and callbacks.
import type { FsType } from "../domain/devices.ts";
import type { ChainId, PoolName } from "../domain/identifiers.ts";
import type { Driver } from "../drivers/port.ts";
import type { Database } from "../metadata/database.ts";
import type { FaultPoint } from "../system/faults.ts";

export interface Context {
  readonly database: Database;
  readonly driver: Driver;
  readonly pool: PoolName;
  /** File system of a base snapshot, as `deviceSizeBytes` is its size; a child has its parent's, or a larger size by label. */
  readonly fsType: FsType;
  /** Arguments for mkfs that replace snapmill's own. */
  readonly fsOptions: readonly string[] | undefined;
  readonly deviceSizeBytes: number;
  /** The largest size that a label can ask for. */
  readonly maxDeviceSizeBytes: number;
  /** Whether a removed snapshot's device is left to a job. */
  readonly asyncRemove: boolean;
  /** Called when a device's removal is left to a job, inside the transaction that records it. */
  readonly onRemovalQueued: () => void;
  /** Called when the next items of a batch were written into the outbox, in the transaction that does it. */
  readonly onUnpackQueued: () => void;
  /** How many items of a batch are in flight, where it does not say itself. */
  readonly defaultParallel: number;
  /** Whether no process unpacks this chain any more, so that what an attempt has left behind can be removed. */
  readonly isChainAbandoned: (chain: ChainId) => boolean;
  /** Allows operations that were set aside, because workers had died of them, to be tried again. */
  readonly forgive: () => void;
  /** Called at each named point between effects: tests end the process there. */
  readonly reach: (point: FaultPoint) => void;
}
