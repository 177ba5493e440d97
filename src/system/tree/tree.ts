// Room: system. Owns the making, opening and removing of files in a tree, each relative to a directory's descriptor.
import { ptr } from "bun:ffi";
import { constants } from "node:fs";
import { type ByteString, byteString, fixedMemory, maxPathBytes, PathSlot } from "./bytes.ts";
import { answer, errnos, libc } from "./calls.ts";

// include/uapi/linux/openat2.h
const openat2Number = 437;
const resolve = { noMagicLinks: 0x02, noSymlinks: 0x04, inRoot: 0x10 } as const;

const noAtime = 0o1000000;
const closeOnExec = 0o2000000;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | closeOnExec | noAtime;
const newFileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | closeOnExec;
const removeDirectoryFlag = 0x200;

// struct open_how: flags, mode, resolve; 64 bits each.
const how = fixedMemory(24);
how.writeBigUInt64LE(BigInt(directoryFlags), 0);
how.writeBigUInt64LE(BigInt(resolve.inRoot | resolve.noMagicLinks | resolve.noSymlinks), 16);
const howAddress = ptr(how);
const first = new PathSlot();
const second = new PathSlot();
const linkText = fixedMemory(maxPathBytes);

const tooLong = -errnos.ENAMETOOLONG;
const dot = "." as ByteString;

// Each function answers what the kernel does: a descriptor or 0, or -errno.

/**
 * Opens the directory at `path` below the directory `root`. No symbolic link is followed and no name leads out of
 * `root`, even if the tree changes meanwhile: the kernel enforces both. "" is the root itself.
 */
export function openDirectoryBelow(root: number, path: ByteString): number {
  const address = first.put(path === "" ? dot : path);
  if (address === undefined) return tooLong;
  return answer(libc.syscall(openat2Number, root, address, howAddress, how.length));
}

/** Opens the directory `name` (one component) in `directory`; ENOTDIR for a symbolic link. */
export function openDirectoryIn(directory: number, name: ByteString): number {
  const address = first.put(name);
  return address === undefined ? tooLong : answer(libc.openat(directory, address, directoryFlags, 0));
}

/** Makes a file that did not exist, and opens it for writing. */
export function createFile(directory: number, name: ByteString, mode: number): number {
  const address = first.put(name);
  return address === undefined ? tooLong : answer(libc.openat(directory, address, newFileFlags, mode));
}

export const closeDescriptor = (descriptor: number): void => {
  libc.close(descriptor);
};

export function makeDirectory(directory: number, name: ByteString, mode: number): number {
  const address = first.put(name);
  return address === undefined ? tooLong : answer(libc.mkdirat(directory, address, mode));
}

/** `mode` holds the file type (S_IFCHR, S_IFBLK, S_IFIFO) and the permissions; `device` comes from `deviceNumber`. */
export function makeNode(directory: number, name: ByteString, mode: number, device: number): number {
  const address = first.put(name);
  return address === undefined ? tooLong : answer(libc.mknodat(directory, address, mode, device));
}

/** The kernel's 32-bit form of a device number: 12 bits of major, 20 bits of minor. Undefined when they do not fit. */
export function deviceNumber(major: number, minor: number): number | undefined {
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff) return undefined;
  return ((minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function makeSymlink(directory: number, name: ByteString, target: ByteString): number {
  const targetAddress = first.put(target);
  const address = second.put(name);
  if (targetAddress === undefined || address === undefined) return tooLong;
  return answer(libc.symlinkat(targetAddress, directory, address));
}

/** A second name for a file; a symbolic link is itself linked, not what it points to. */
export function makeLink(fromDirectory: number, from: ByteString, toDirectory: number, to: ByteString): number {
  const fromAddress = first.put(from);
  const toAddress = second.put(to);
  if (fromAddress === undefined || toAddress === undefined) return tooLong;
  return answer(libc.linkat(fromDirectory, fromAddress, toDirectory, toAddress, 0));
}

/** Removes anything but a directory (EISDIR). */
export function removeFile(directory: number, name: ByteString): number {
  const address = first.put(name);
  return address === undefined ? tooLong : answer(libc.unlinkat(directory, address, 0));
}

/** Removes an empty directory. */
export function removeDirectory(directory: number, name: ByteString): number {
  const address = first.put(name);
  return address === undefined ? tooLong : answer(libc.unlinkat(directory, address, removeDirectoryFlag));
}

/** The target of the symbolic link `name`, or -errno (EINVAL: it is none). */
export function readLink(directory: number, name: ByteString): ByteString | number {
  const address = first.put(name);
  if (address === undefined) return tooLong;
  const length = answer(libc.readlinkat(directory, address, ptr(linkText), linkText.length));
  return length < 0 ? length : byteString(linkText, 0, length);
}
