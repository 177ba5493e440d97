// Room: system. Owns the removal of directories that have become empty.
import { rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { isErrno } from "../ffi/errno.ts";

/** Removes `directory` and those above it, `top` the last of them, up to the first that is not empty. */
export async function removeEmptyDirectories(directory: string, top: string): Promise<void> {
  for (let current = directory; ; current = dirname(current)) {
    try {
      await rmdir(current);
    } catch (error) {
      if (isErrno(error, "ENOTEMPTY", "EEXIST", "EBUSY")) return;
      if (!isErrno(error, "ENOENT")) throw error;
    }
    if (current === top || current === dirname(current)) return;
  }
}
