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
 * fsync of a block device that nobody has mounted or holds exclusively, nor can until it is done. False, with nothing
 * done, when somebody has.
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

/** Gives a complete file its real name, replacing what had it: after a power cut there is one or the other, whole. */
export async function settleFile(madeAs: string, path: string): Promise<void> {
  await syncPath(madeAs);
  await rename(madeAs, path);
  await syncPath(dirname(path));
}
