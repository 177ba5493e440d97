// Room: workers. Owns the end of lock files whose holder was killed: the lock went with it, the file did not.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../src/system/ffi/errno.ts";
import { isLock, tryLock } from "../src/system/file/locks.ts";

/** Deletes the files in `directory` that no process holds a lock on. */
export function sweepLocks(directory: string): void {
  for (const name of namesIn(directory)) {
    const outcome = tryLock(join(directory, name), `${process.pid}`);
    if (isLock(outcome)) outcome[Symbol.dispose]();
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}
