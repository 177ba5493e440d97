// Room: system. Owns a note that survives the death of its process: what it was doing last.
import { closeSync, constants, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { isErrno } from "../ffi/errno.ts";

/**
 * A file with one line, written in microseconds without waiting for the disk: it survives the death of the process, not a
 * power cut.
 */
export interface Note extends Disposable {
  write(line: string): void;
  /** Deletes the note, at the orderly end of a process. */
  remove(): void;
}

/** The last note of the last process; undefined when there is none, or it is incomplete. */
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

/** An existing note stays until the first write, which makes the file. Without disk space, nothing is noted. */
export function openNote(path: string): Note {
  let descriptor: number | undefined;
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  return {
    write: (line) =>
      tolerant(() => {
        descriptor ??= openSync(path, flags, 0o600);
        // One write at the beginning: the rest of a longer earlier line stays after the line's end.
        writeSync(descriptor, `${line}\n`, 0, "utf8");
      }),
    remove: () => rmSync(path, { force: true }),
    [Symbol.dispose]: () => {
      if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}

/** Without disk space, nothing is noted of this process, but its work continues. */
function tolerant(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!isErrno(error, "ENOSPC", "EDQUOT", "EIO", "EROFS")) throw error;
  }
}
