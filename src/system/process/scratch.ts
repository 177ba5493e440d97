// Room: system. Owns unnamed files in memory, for output of other processes that is only sometimes read.
import { FFIType } from "bun:ffi";
import { closeSync, readFileSync } from "node:fs";
import { checked, cString, openLibc } from "../ffi/libc.ts";

const libc = openLibc({ memfd_create: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 } });

const closeOnExec = 1;

export interface Scratch extends Disposable {
  readonly fd: number;
  /** What is in it, as UTF-8. */
  read(): string;
}

/** An empty file, which exists until it is disposed of and its last user has closed it; a child gets it by its `stdio`. */
export function openScratch(purpose: string): Scratch {
  const fd = checked(libc.memfd_create(cString(purpose), closeOnExec), "memfd_create", purpose);
  return {
    fd,
    // Not through `fd`, whose position is that of its writers.
    read: () => readFileSync(`/proc/self/fd/${fd}`, "utf8"),
    [Symbol.dispose]: () => closeSync(fd),
  };
}
