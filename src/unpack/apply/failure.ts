// Room: unpack. Owns what a failed entry means: the layer is wrong, the device is full, or something is broken.
import {
  failedPrecondition,
  internal,
  invalidArgument,
  isSnapmillError,
  resourceExhausted,
  type SnapmillError,
} from "../../domain/errors.ts";
import { formatSize } from "../../domain/units.ts";
import { SystemCallError } from "../../system/ffi/libc.ts";
import type { Space } from "../../system/file/space.ts";
import { type ByteString, display } from "../../system/tree/bytes.ts";

/** The kernel's refusals of names, links and attributes that are the layer's fault. */
const layersFault: Readonly<Record<string, string>> = {
  ENAMETOOLONG: "its name or target is longer than the file system allows",
  ENOTDIR: "a file is where its path needs a directory",
  ELOOP: "its path leads through too many symbolic links",
  EINVAL: "the kernel finds it invalid",
  ERANGE: "the name of an extended attribute is too long",
  E2BIG: "an extended attribute is larger than the 65536 bytes that Linux allows, or they are too many",
  EMLINK: "the file system allows no more hard links or directories there",
};

const isFull = (code: string): boolean => code === "ENOSPC" || code === "EDQUOT";

/** Where an entry failed. */
export interface FailureContext {
  /** Of the file system that the layer goes onto. */
  readonly space: () => Space;
  /** Throws when the pool or the host's disk is full: then the device is not too small. */
  readonly checkBelow: () => void;
}

/** `error`, which stopped the entry `name`, as the error of its layer. */
export function entryFailure(name: ByteString, error: unknown, context: FailureContext): SnapmillError {
  const entry = `entry ${display(name)}`;
  if (isSnapmillError(error)) {
    switch (error.code) {
      case "invalid_argument":
        return invalidArgument(`${entry}: ${error.message}`, error);
      case "failed_precondition":
        return failedPrecondition(`${entry}: ${error.message}`, error);
      default:
        return error;
    }
  }
  if (!(error instanceof SystemCallError)) return internal(`${entry}: ${String(error)}`, error);
  if (isFull(error.code)) return noRoom(error, context);
  if (error.code === "EFBIG") {
    const wayOut = "xfs takes files of up to 8 EiB (SNAPMILL_FS_TYPE), ext4 of up to 16 TiB";
    return failedPrecondition(`${entry}: it is larger than the file system allows a file to be: ${wayOut}`, error);
  }
  const reason = layersFault[error.code];
  if (reason !== undefined) return invalidArgument(`${entry}: ${reason} (${error.message})`, error);
  return internal(`${entry}: ${error.message}`, error);
}

/** A file system with less free space than this is full: it keeps some for itself, and one operation may need more. */
const nextToNothingBytes = 2 ** 20;
const larger = "a larger device (SNAPMILL_DEVICE_SIZE, or the label containerd.io/snapshot/max-size)";

/** Finds out which of its many reasons an ENOSPC has. */
function noRoom(error: SystemCallError, { space, checkBelow }: FailureContext): SnapmillError {
  const { freeBytesOfRoot: freeBytes, freeInodes, totalInodes } = space();
  if (freeInodes === 0) {
    const wayOut = `${larger} has more, xfs (SNAPMILL_FS_TYPE) makes them as needed`;
    const why = `all ${totalInodes} inodes of its file system are used, one for each file and directory`;
    return resourceExhausted(`the layer does not fit on its device: ${why}; ${wayOut}`, error);
  }
  if (freeBytes < nextToNothingBytes) {
    return resourceExhausted(`the layer does not fit on its device, which is full: give it ${larger}`, error);
  }
  checkBelow();
  const why = `its file system has ${formatSize(freeBytes)} free but refuses to use it`;
  const wayOut = "the pool or the host's disk may be full, or a directory has more names than the file system allows";
  return resourceExhausted(`the layer does not fit on its device: ${why} (${error.message}): ${wayOut}`, error);
}
