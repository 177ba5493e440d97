// Room: drivers. Owns the port: what every kind of pool can do with copy-on-write block devices.
import type { DeviceRef } from "../domain/devices.ts";
import { SnapmillError } from "../domain/errors.ts";
import type { FoundHolders } from "../domain/holders.ts";
import type { DeviceId, DeviceName } from "../domain/identifiers.ts";

export const driverNames = ["reflink", "devmapper"] as const;
export type DriverName = (typeof driverNames)[number];

/** The states of a thin-pool: see the kernel's documentation, device-mapper/thin-provisioning. */
export const poolStates = ["rw", "ro", "out_of_data_space", "failed", "needs_check"] as const;
export type PoolState = (typeof poolStates)[number];

export interface Fill {
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** How full a pool is. What only thin-pools have, other pools leave out. */
export interface PoolUsage extends Fill {
  readonly metadata?: Fill;
  readonly state?: PoolState;
  /** A metadata snapshot is held, by a program that reads the pool (thin_dump) or one that died. */
  readonly isMetadataHeld?: boolean;
}

/** A device that a driver found in its pool or active on the host, whether or not a database knows it. */
export interface FoundDevice {
  /** Undefined for content with an ID that no known or active device has, in a pool that identifies devices by ID. */
  readonly deviceName: DeviceName | undefined;
  /** Undefined in a pool that identifies devices by name, and for a name without a device. */
  readonly deviceId?: DeviceId | undefined;
  /** In the pool: its content exists. Not in the pool: only an activation was left behind. */
  readonly inPool: boolean;
  readonly active: boolean;
}

/** Who owns a pool, in terms that a pool can store. A thin-pool keeps it as its transaction ID. */
export interface Ownership {
  /** Chosen at random when the database was made: 1 to 2^28-1. */
  readonly owner: number;
  /** How often the pool has been taken over in this database: 1 to 2^24-1. */
  readonly takeOver: number;
}

/** New sizes of a pool that lies in files. A pool on devices takes all that they have: its request is empty. */
export interface GrowRequest {
  readonly dataBytes?: number | undefined;
  readonly metadataBytes?: number | undefined;
}

/** What is asked of `Driver.open`. */
export interface OpenRequest {
  /** Whether the database has devices in the pool; a new pool in its place must then not be taken for the old one. */
  readonly mustExist: boolean;
}

/** The pool that a database has devices in is not there, or something else is in its place. */
export class LostPool extends SnapmillError {
  constructor(pool: string, what: string, wayBack: string) {
    const startOver = `give up all its snapshots by 'snapmill pool reset ${pool} --yes'`;
    super("failed_precondition", `pool ${pool} is lost: ${what}; ${wayBack}, or ${startOver}`);
  }
}

/** How much `Driver.head` reads. */
export const headBytes = 4096;

/** A copy by its file's name, and the device that it is to be. */
export interface AdoptedCopy {
  readonly copy: string;
  readonly device: DeviceRef;
}

/** What closing a pool has left because it is in use; empty when nothing is left. */
export interface CloseReport {
  readonly stillInUse: readonly string[];
}

/**
 * A pool of copy-on-write block devices.
 *
 * Life of a device: `create` or `snapshot` → `activate` (a block device appears at `devicePath`) →
 * `flush` → `deactivate` → ... → `delete`. Every call is idempotent towards its goal: creating over a half-made
 * device of the same name makes it anew, activating an active device and deactivating or deleting a missing one
 * succeed. When a call returns, its effect survives a power cut. Callers are serial: no two calls overlap.
 *
 * Errors: `failed_precondition` when a device is busy (mounted or open), `resource_exhausted` when the pool or the
 * host is full, `not_found` for an origin that does not exist, `unavailable` for a failure that may pass,
 * `deadline_exceeded` when the effect is unknown because a command ran out of time, `internal` otherwise.
 */
export interface Driver {
  readonly name: DriverName;

  /**
   * Makes the pool ready: creates it when new, attaches it again after a reboot. Idempotent. Throws LostPool, with nothing
   * made, when there is none and it must exist (default: it need not).
   */
  open(request?: OpenRequest): Promise<void>;
  /**
   * Takes the pool over: compares what it says of its owner with `known`, the database's last take-over (undefined: it
   * has none), has the next one written down there by `takeOver`, and then in the pool, where that can store it.
   * Idempotent: `takeOver` may return what is `known`. `failed_precondition`, before anything is written, when the pool is
   * another owner's, or was taken over later than the database knows (one restored from a backup).
   */
  claim(known: Ownership | undefined, takeOver: () => Ownership): Promise<void>;
  /**
   * Deactivates all that is not in use and detaches the pool; says what it had to leave. Where a pool can be claimed, and
   * was not, what was there before `open` stays: it may be in another's service.
   */
  close(): Promise<CloseReport>;

  /** A new device of zeroes, `device.sizeBytes` long. */
  create(device: DeviceRef): Promise<void>;
  /** A new device, at least as large as `origin`, with all that was written to `origin` before, which may be mounted. */
  snapshot(origin: DeviceRef, device: DeviceRef): Promise<void>;
  /**
   * A new device with all that was written to `origin` before, checked as by `flush`; a file system on it has nothing to
   * replay. One that is mounted is frozen for the moment. `failed_precondition` when it cannot be frozen from here (it is
   * mounted in another mount namespace, or without a mount point), unless whoever has it mounted has brought it to rest.
   */
  checkpoint(origin: DeviceRef, device: DeviceRef): Promise<void>;
  /**
   * Makes devices of copies of `origin` that whoever has it mounted has left where `draftCopiesOf` in open.ts says, each of
   * a moment of rest: checked as by `flush`. `failed_precondition` when one is gone, or not at rest. Copies are kept until
   * the next call, so that this one can be repeated, and go at the latest when `origin` is deactivated or deleted.
   * Undefined where a device's content is no file.
   */
  readonly adopt?: (origin: DeviceRef, copies: readonly AdoptedCopy[]) => Promise<void>;
  activate(device: DeviceRef): Promise<void>;
  deactivate(device: DeviceRef): Promise<void>;
  delete(device: DeviceRef): Promise<void>;

  /** Lets writers go on where a flush or a snapshot was interrupted; nothing is done to any other device. */
  resume(device: DeviceRef): Promise<void>;
  /**
   * Everything written to the device so far is durable and part of any later snapshot. On a mounted device the file
   * system is frozen for the moment. Throws `resource_exhausted` when writes were lost because the pool was full.
   */
  flush(device: DeviceRef): Promise<void>;

  /** Whether the device is mounted or open, by any process. */
  isBusy(device: DeviceRef): Promise<boolean>;
  /** Who has the device mounted or open, as far as it can be found out; what was found is up to two seconds old. */
  holders(device: DeviceRef): Promise<FoundHolders>;
  /** Bytes of the pool that the device maps, shared ones included. */
  usedBytes(device: DeviceRef): Promise<number>;
  /** The first 4 KiB of an inactive device, as they are on disk: zeroes where nothing was written. `not_found`. */
  head(device: DeviceRef): Promise<Buffer>;
  poolUsage(): Promise<PoolUsage>;
  /**
   * Makes the pool larger; what is active on it stays so. `failed_precondition` where pools do not grow,
   * `invalid_argument` for a size that is smaller than it is.
   */
  grow(request: GrowRequest): Promise<void>;

  /** The block device's path while it is active: the same for the device's whole life. */
  devicePath(deviceName: DeviceName): string;
  /**
   * All devices that really exist, for reconcile and doctor. `known` (default: none) are those that are expected: a pool
   * that identifies devices by ID gets the names of inactive ones from them.
   */
  list(known?: readonly DeviceRef[]): Promise<readonly FoundDevice[]>;
}
