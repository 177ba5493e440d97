// Room: system. Owns extended attributes of files in a tree.
import { ptr } from "bun:ffi";
import { type ByteString, byteString, bytesOfText, fixedMemory, joinBytes, PathSlot } from "./bytes.ts";
import { answer, errnos, libc } from "./calls.ts";

/**
 * The file that a call acts on: an open one, or a name in an open directory (for files that cannot be opened without side
 * effects: symbolic links, devices, fifos).
 */
export type XattrSubject = { readonly descriptor: number } | { readonly directory: number; readonly name: ByteString };

/** The kernel's limit for one value (XATTR_SIZE_MAX) and for the list of names (XATTR_LIST_MAX). */
const limitBytes = 65_536;

const pathSlot = new PathSlot();
const keySlot = new PathSlot();
const list = fixedMemory(limitBytes);
const listAddress = ptr(list);

// Calls by path end in `name`, which they do not follow; the descriptor under /proc pins the directory before it.
const pathOf = (directory: number, name: ByteString): ByteString =>
  joinBytes(bytesOfText(`/proc/self/fd/${directory}`), name);

/** 0 or -errno: EOPNOTSUPP when the file system does not know the name space, EPERM for user.* on a symbolic link. */
export function setXattr(subject: XattrSubject, key: ByteString, value: Uint8Array): number {
  const name = keySlot.put(key);
  if (name === undefined) return -errnos.ERANGE;
  const address = value.length === 0 ? listAddress : ptr(value);
  if ("descriptor" in subject) return answer(libc.fsetxattr(subject.descriptor, name, address, value.length, 0));
  const path = pathSlot.put(pathOf(subject.directory, subject.name));
  if (path === undefined) return -errnos.ENAMETOOLONG;
  return answer(libc.lsetxattr(path, name, address, value.length, 0));
}

/** 0 or -errno. */
export function removeXattr(subject: XattrSubject, key: ByteString): number {
  const name = keySlot.put(key);
  if (name === undefined) return -errnos.ERANGE;
  if ("descriptor" in subject) return answer(libc.fremovexattr(subject.descriptor, name));
  const path = pathSlot.put(pathOf(subject.directory, subject.name));
  return path === undefined ? -errnos.ENAMETOOLONG : answer(libc.lremovexattr(path, name));
}

/** Every attribute's name, or -errno. */
export function listXattrs(subject: XattrSubject): ByteString[] | number {
  const length = listInto(subject);
  if (length < 0) return length;
  return byteString(list, 0, length)
    .split("\0")
    .filter((name) => name !== "") as ByteString[];
}

function listInto(subject: XattrSubject): number {
  if ("descriptor" in subject) return answer(libc.flistxattr(subject.descriptor, listAddress, list.length));
  const path = pathSlot.put(pathOf(subject.directory, subject.name));
  return path === undefined ? -errnos.ENAMETOOLONG : answer(libc.llistxattr(path, listAddress, list.length));
}

/** Whether an open file has the attribute. */
export function hasXattr(descriptor: number, key: ByteString): boolean {
  const name = keySlot.put(key);
  return name !== undefined && libc.fgetxattr(descriptor, name, null, 0) >= 0;
}
