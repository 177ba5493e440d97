// Room: system. Owns the raw calls on a tree of files: their C types, and results of 0 or -errno.
import { FFIType } from "bun:ffi";
import { constants } from "node:os";
import { errno, openLibc, SystemCallError } from "../ffi/libc.ts";
import { type ByteString, display } from "./bytes.ts";

const { i32, u32, ptr, i64, u64_fast: u64 } = FFIType;

/**
 * Sizes and offsets go in as numbers (all below 2^53); results fit 32 bits, since no call moves 2 GiB at once. Neither
 * needs a BigInt, which would cost more than the call.
 */
export const libc = openLibc({
  // openat2 has no function in libc: syscall(number, directory, path, how, size of how).
  syscall: { args: [i32, i32, ptr, ptr, u64], returns: i32 },
  openat: { args: [i32, ptr, i32, u32], returns: i32 },
  close: { args: [i32], returns: i32 },
  mkdirat: { args: [i32, ptr, u32], returns: i32 },
  mknodat: { args: [i32, ptr, u32, u64], returns: i32 },
  symlinkat: { args: [ptr, i32, ptr], returns: i32 },
  linkat: { args: [i32, ptr, i32, ptr, i32], returns: i32 },
  unlinkat: { args: [i32, ptr, i32], returns: i32 },
  readlinkat: { args: [i32, ptr, ptr, u64], returns: i32 },
  getdents64: { args: [i32, ptr, u64], returns: i32 },
  // Offsets in a directory are the file system's: any 64 bits.
  lseek: { args: [i32, i64, i32], returns: i64 },
  statx: { args: [i32, ptr, i32, u32, ptr], returns: i32 },
  fchown: { args: [i32, u32, u32], returns: i32 },
  fchownat: { args: [i32, ptr, u32, u32, i32], returns: i32 },
  fchmod: { args: [i32, u32], returns: i32 },
  fchmodat: { args: [i32, ptr, u32, i32], returns: i32 },
  futimens: { args: [i32, ptr], returns: i32 },
  utimensat: { args: [i32, ptr, ptr, i32], returns: i32 },
  fsetxattr: { args: [i32, ptr, ptr, u64, i32], returns: i32 },
  lsetxattr: { args: [ptr, ptr, ptr, u64, i32], returns: i32 },
  fgetxattr: { args: [i32, ptr, ptr, u64], returns: i32 },
  flistxattr: { args: [i32, ptr, u64], returns: i32 },
  llistxattr: { args: [ptr, ptr, u64], returns: i32 },
  fremovexattr: { args: [i32, ptr], returns: i32 },
  lremovexattr: { args: [ptr, ptr], returns: i32 },
  pwrite: { args: [i32, ptr, u64, u64], returns: i32 },
  ftruncate: { args: [i32, u64], returns: i32 },
  sync_file_range: { args: [i32, u64, u64, u32], returns: i32 },
  syncfs: { args: [i32], returns: i32 },
});

/** The errno values that callers expect and act on. */
export const errnos = constants.errno;

/** A call's result, or -errno: expected failures then need no exception. */
export const answer = (result: number): number => (result === -1 ? -errno() : result);

/** `result` of a call in this folder, or the exception for its -errno. */
export function must(result: number, call: string, name: ByteString): number {
  if (result < 0) throw new SystemCallError(call, display(name), -result);
  return result;
}
