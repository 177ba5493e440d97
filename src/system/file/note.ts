// Room: system. Owns a note that outlives its process, however that dies: what it was doing in its last moment.
import { closeSync, constants, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { isErrno } from "../ffi/errno.ts";

/**
 * A file that holds one line. Written without waiting for the disk, in microseconds: it tells of the death of a process,
 * not of a power cut.
 */
export interface Note extends Disposable {
  write(line: string): void;
  /** At the end of a process that has nothing to tell the next one. */
  remove(): void;
}

/** What the last process wrote last; undefined when there is nothing, or it was cut short. */
export function readNote(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8");
    const end = text.indexOf("\n");
    return end === -1 ? undefined : text.slice(0, end);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** What stands there stays until the first write, which makes the file. Where there is no room for it, nothing is noted. */
export function openNote(path: string): Note {
  let descriptor: number | undefined;
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  return {
    write: (line) =>
      tolerant(() => {
        descriptor ??= openSync(path, flags, 0o600);
        // One write, from the beginning: what a longer line before has left comes after the line's end.
        writeSync(descriptor, `${line}\n`, 0, "utf8");
      }),
    remove: () => rmSync(path, { force: true }),
    [Symbol.dispose]: () => {
      if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}

/** Without room, nothing is told of this process; its work goes on. */
function tolerant(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!isErrno(error, "ENOSPC", "EDQUOT", "EIO", "EROFS")) throw error;
  }
}
