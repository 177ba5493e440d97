// Room: system. Owns making changes to files and directories survive a power cut.
import { constants } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { isErrno } from "../ffi/errno.ts";

/** fsync of a file, directory or block device. Needs no right to write: a mounted device may be closed to writers. */
export async function syncPath(path: string): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY);
  await handle.sync();
}

/**
 * fsync of a block device that is not mounted or held exclusively, and cannot be until the fsync is done. False, with
 * nothing done, when it is.
 */
export async function syncUnlessHeld(path: string): Promise<boolean> {
  try {
    await using handle = await open(path, constants.O_RDONLY | constants.O_EXCL);
    await handle.sync();
    return true;
  } catch (error) {
    if (isErrno(error, "EBUSY")) return false;
    throw error;
  }
}

/**
 * Renames a file into place and makes it durable: after a power cut before the end, it may be there in part. For a file that
 * is known to be unfinished until then. XFS writes the file and its name to its log together, which halves the flushes.
 */
export async function placeFile(madeAs: string, path: string): Promise<void> {
  await rename(madeAs, path);
  await syncPath(path);
  await syncPath(dirname(path));
}

/** Renames a complete file into place; after a power cut, either the old or the new file is there, whole. */
export async function settleFile(madeAs: string, path: string): Promise<void> {
  await syncPath(madeAs);
  await rename(madeAs, path);
  await syncPath(dirname(path));
}
