// Room: system. Owns files in memory that have no name: for what somebody else writes and only sometimes is read.
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

/** An empty one, gone when it is disposed of and nobody else has it open; a child gets it through its `stdio`. */
export function openScratch(purpose: string): Scratch {
  const fd = checked(libc.memfd_create(cString(purpose), closeOnExec), "memfd_create", purpose);
  return {
    fd,
    // Not through `fd`, whose position is where its writers are.
    read: () => readFileSync(`/proc/self/fd/${fd}`, "utf8"),
    [Symbol.dispose]: () => closeSync(fd),
  };
}
