// Room: system. Owns the content of files in a tree, and the flush of all of it.
import { ptr } from "bun:ffi";
import { answer, errnos, libc } from "./calls.ts";

/** Writes the bytes `start` to `end` of `chunk` at `offsetBytes` of an open file: all of them, or -errno. */
export function writeAt(
  descriptor: number,
  chunk: Uint8Array,
  start: number,
  end: number,
  offsetBytes: number,
): number {
  const address = ptr(chunk);
  let done = start;
  while (done < end) {
    const written = answer(libc.pwrite(descriptor, address + done, end - done, offsetBytes + done - start));
    if (written > 0) done += written;
    else if (written === 0) return -errnos.EIO;
    else if (written !== -errnos.EINTR) return written;
  }
  return 0;
}

/** Sets an open file's size; what was never written reads as zeroes and takes no space. 0 or -errno. */
export const setSize = (descriptor: number, sizeBytes: number): number => answer(libc.ftruncate(descriptor, sizeBytes));

/** SYNC_FILE_RANGE_WRITE, include/uapi/linux/fs.h. */
const writeOnly = 2;

/** Has the kernel begin to write what it holds of an open file to the device, without waiting for it. 0 or -errno. */
export const startWriteBack = (descriptor: number): number => answer(libc.sync_file_range(descriptor, 0, 0, writeOnly));

/**
 * Writes all of the file system to its device. 0 or -errno: also for a write that failed at any time since
 * `descriptor` was opened (Linux 5.8), so open it before the first write.
 */
export const syncFileSystem = (descriptor: number): number => answer(libc.syncfs(descriptor));
