// Room: drivers. Owns the interface to device-mapper, whichever way leads to the kernel.
import { type ErrorCode, SnapmillError } from "../../../domain/errors.ts";
import type { DeviceId } from "../../../domain/identifiers.ts";
import type { DmDeviceInfo } from "./libdevmapper/calls.ts";

export const dmControlNames = ["dmsetup", "libdevmapper"] as const;
/** `dmsetup`: a process for each call; `libdevmapper`: the library, in a thread of its own. */
export type DmControlName = (typeof dmControlNames)[number];

/** A thin device of a pool: `0 <sectors> thin <pool> <device ID>`. Sectors are 512 bytes. */
export interface ThinTable {
  readonly target: "thin";
  readonly sectors: number;
  /** `/dev/mapper/<pool>`, or `major:minor`. */
  readonly poolDevice: string;
  readonly deviceId: DeviceId;
}

/** `0 <sectors> thin-pool <metadata> <data> <block sectors> <low water blocks> <n> [feature ...]`. */
export interface PoolTable {
  readonly target: "thin-pool";
  readonly sectors: number;
  readonly metadataDevice: string;
  readonly dataDevice: string;
  readonly blockSectors: number;
  readonly lowWaterBlocks: number;
  /** `skip_block_zeroing`, `error_if_no_space`, `no_discard_passdown`, `ignore_discard`, `read_only`. */
  readonly features: readonly string[];
}

export type DmTable = ThinTable | PoolTable;

/** What the kernel reports about a device. */
export type DmInfo = DmDeviceInfo;

export interface ThinStatus {
  readonly target: "thin";
  /** The pool has failed, or does not serve this device any more. */
  readonly hasFailed: boolean;
  readonly mappedSectors: number;
}

export const poolModes = ["rw", "ro", "out_of_data_space", "failed"] as const;
export type PoolMode = (typeof poolModes)[number];

export interface PoolStatus {
  readonly target: "thin-pool";
  readonly mode: PoolMode;
  readonly needsCheck: boolean;
  readonly transactionId: number;
  readonly usedMetadataBlocks: number;
  readonly totalMetadataBlocks: number;
  readonly usedDataBlocks: number;
  readonly totalDataBlocks: number;
  /** The block of the metadata snapshot that is held; undefined when none is. */
  readonly heldMetadataRoot: number | undefined;
}

/** Blocks of a thin-pool's metadata device are 4 KiB. */
export const metadataBlockBytes = 4096;
export const sectorBytes = 512;

/** Messages to a pool that succeed have committed its metadata: their effect survives a power cut. */
export type PoolMessage =
  | { readonly kind: "create_thin"; readonly deviceId: DeviceId }
  | { readonly kind: "create_snap"; readonly deviceId: DeviceId; readonly originId: DeviceId }
  | { readonly kind: "delete"; readonly deviceId: DeviceId }
  | { readonly kind: "set_transaction_id"; readonly from: number; readonly to: number }
  | { readonly kind: "reserve_metadata_snap" }
  | { readonly kind: "release_metadata_snap" };

/**
 * Device-mapper's verbs. Every call is bounded in time; a `signal` given when the control was made cancels those under
 * way. Errors are DmErrors, or `deadline_exceeded` (effect unknown), `aborted` (cancelled, effect unknown),
 * `failed_precondition` (dmsetup or the library or the kernel's device-mapper is missing).
 */
export interface DmControl extends AsyncDisposable {
  readonly name: DmControlName;
  /** Of the library and of the kernel's driver. */
  version(): Promise<{ readonly library: string; readonly driver: string }>;
  /** Versions of the kernel's targets by name, as loaded: `thin-pool` → `1.22.0`. */
  targets(): Promise<ReadonlyMap<string, string>>;
  /** Creates a device with a live table, and its node under /dev/mapper. EBUSY or EEXIST when the name is taken. */
  create(name: string, table: DmTable): Promise<void>;
  /** Loads a table that `resume` makes live. */
  reload(name: string, table: DmTable): Promise<void>;
  /** Freezes the file system on the device unless `lockFs` is false, and flushes unless `flush` is false. */
  suspend(name: string, options?: { readonly lockFs?: boolean; readonly flush?: boolean }): Promise<void>;
  resume(name: string): Promise<void>;
  /** EBUSY when it is open, unless `deferred`: then the kernel removes it at its last close. ENXIO when it is missing. */
  remove(name: string, options?: { readonly deferred?: boolean }): Promise<void>;
  message(pool: string, message: PoolMessage): Promise<void>;
  /** Undefined when there is no device of that name. */
  info(name: string): Promise<DmInfo | undefined>;
  /** All devices whose names begin with `prefix`. */
  list(prefix: string): Promise<readonly DmInfo[]>;
  /** The live table; undefined when there is no device of that name, or it has no live table. */
  table(name: string): Promise<DmTable | undefined>;
  /** Without a commit of metadata (--noflush) unless `flush`. ENXIO when the device is missing. */
  status(name: string, options?: { readonly flush?: boolean }): Promise<ThinStatus | PoolStatus>;
}

/** The kernel's refusal of a call, by errno. */
export class DmError extends SnapmillError {
  /** `EBUSY`, `ENODATA` ...; `EUNKNOWN` when it was not reported. */
  readonly errno: string;

  constructor(errno: string, message: string, options?: ErrorOptions) {
    super(codeOf(errno), message, options);
    this.errno = errno;
  }
}

export const isDmError = (error: unknown, ...errnos: readonly string[]): error is DmError =>
  error instanceof DmError && errnos.includes(error.errno);

function codeOf(errno: string): ErrorCode {
  switch (errno) {
    case "EBUSY":
      return "failed_precondition";
    case "ENOSPC":
      return "resource_exhausted";
    case "EEXIST":
      return "already_exists";
    case "ENXIO":
    case "ENODATA":
    case "ENOENT":
      return "not_found";
    default:
      return "internal";
  }
}
