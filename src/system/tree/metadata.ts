// Room: system. Owns owners, modes and times of files in a tree.
import { ptr } from "bun:ffi";
import { type ByteString, fixedMemory, PathSlot } from "./bytes.ts";
import { answer, errnos, libc, must } from "./calls.ts";

/** A moment as the kernel keeps it; nanoseconds are 0 to 999,999,999 also before 1970. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface FileStatus {
  /** File type and permissions. */
  readonly mode: number;
  readonly atime: FileTime;
  readonly mtime: FileTime;
}

const noFollow = 0x100;
const emptyPath = 0x1000;
const statxBasics = 0x7ff;

const slot = new PathSlot();
const emptyText = fixedMemory(8);
const times = new DataView(fixedMemory(32).buffer);
const timesAddress = ptr(times);
const status = new DataView(fixedMemory(256).buffer);
const statusAddress = ptr(status);
const tooLong = -errnos.ENAMETOOLONG;

// Each function that changes something answers 0 or -errno.

export const changeOwner = (descriptor: number, uid: number, gid: number): number =>
  answer(libc.fchown(descriptor, uid, gid));

export const changeMode = (descriptor: number, mode: number): number => answer(libc.fchmod(descriptor, mode));

export function changeTimes(descriptor: number, atime: FileTime, mtime: FileTime): number {
  putTimes(atime, mtime);
  return answer(libc.futimens(descriptor, timesAddress));
}

/** Of `name` itself, also where it is a symbolic link. */
export function changeOwnerIn(directory: number, name: ByteString, uid: number, gid: number): number {
  const address = slot.put(name);
  return address === undefined ? tooLong : answer(libc.fchownat(directory, address, uid, gid, noFollow));
}

/** Not for symbolic links: they have no mode of their own, and this would follow them. */
export function changeModeIn(directory: number, name: ByteString, mode: number): number {
  const address = slot.put(name);
  return address === undefined ? tooLong : answer(libc.fchmodat(directory, address, mode, 0));
}

/** Of `name` itself, also where it is a symbolic link. */
export function changeTimesIn(directory: number, name: ByteString, atime: FileTime, mtime: FileTime): number {
  const address = slot.put(name);
  if (address === undefined) return tooLong;
  putTimes(atime, mtime);
  return answer(libc.utimensat(directory, address, timesAddress, noFollow));
}

/** The status of an open file. Layout: struct statx, include/uapi/linux/stat.h. Throws SystemCallError, naming `name`. */
export function statusOf(descriptor: number, name: ByteString): FileStatus {
  must(answer(libc.statx(descriptor, ptr(emptyText), emptyPath, statxBasics, statusAddress)), "statx", name);
  return { mode: status.getUint16(28, true), atime: readTime(64), mtime: readTime(112) };
}

function putTimes(atime: FileTime, mtime: FileTime): void {
  putInt64(0, atime.seconds);
  putInt64(8, atime.nanoseconds);
  putInt64(16, mtime.seconds);
  putInt64(24, mtime.nanoseconds);
}

function putInt64(at: number, value: number): void {
  times.setUint32(at, value >>> 0, true);
  times.setInt32(at + 4, Math.floor(value / 2 ** 32), true);
}

const readTime = (at: number): FileTime => ({
  seconds: status.getInt32(at + 4, true) * 2 ** 32 + status.getUint32(at, true),
  nanoseconds: status.getUint32(at + 8, true),
});
