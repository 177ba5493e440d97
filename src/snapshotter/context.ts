// Room: snapshotter. Owns what every verb is given: the database, the driver, and how new devices are made.
import type { FsType } from "../domain/devices.ts";
import type { ChainId, PoolName } from "../domain/identifiers.ts";
import type { Driver } from "../drivers/port.ts";
import type { Database } from "../metadata/database.ts";
import type { FaultPoint } from "../system/faults.ts";

export interface Context {
  readonly database: Database;
  readonly driver: Driver;
  readonly pool: PoolName;
  /** File system and size of a base snapshot; a child has its parent's, or more by label. */
  readonly fsType: FsType;
  /** Arguments of mkfs in place of snapmill's own. */
  readonly fsOptions: readonly string[] | undefined;
  readonly deviceSizeBytes: number;
  /** The most that a label can ask for. */
  readonly maxDeviceSizeBytes: number;
  /** Whether a removed snapshot's device is left to a job. */
  readonly asyncRemove: boolean;
  /** Called when a device's removal has been left to a job, in the transaction that writes it down. */
  readonly onRemovalQueued: () => void;
  /** Called when the next items of a batch were written into the outbox, in the transaction that does it. */
  readonly onUnpackQueued: () => void;
  /** How many items of a batch are in flight, where it does not say itself. */
  readonly defaultParallel: number;
  /** Whether nobody works on unpacking this chain any more, so that what an attempt left behind can go. */
  readonly isChainAbandoned: (chain: ChainId) => boolean;
  /** Operations that were set aside, since workers had died of them, may be tried again. */
  readonly forgive: () => void;
  /** Called at each named point between effects: tests end the process there. */
  readonly reach: (point: FaultPoint) => void;
}
