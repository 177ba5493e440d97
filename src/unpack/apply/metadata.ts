// Room: unpack. Owns setting owner, extended attributes, mode and times, in the order in which none undoes another.
import { failedPrecondition } from "../../domain/errors.ts";
import { spaceUnder } from "../../system/file/space.ts";
import { type ByteString, display } from "../../system/tree/bytes.ts";
import { errnos, must } from "../../system/tree/calls.ts";
import {
  changeMode,
  changeModeIn,
  changeOwner,
  changeOwnerIn,
  changeTimes,
  changeTimesIn,
} from "../../system/tree/metadata.ts";
import { listXattrs, removeXattr, setXattr, type XattrSubject } from "../../system/tree/xattrs.ts";
import type { TarEntry } from "../../tar/entry.ts";
import type { Directory } from "./directory.ts";

/** Attributes of the machine on which the layer was made, not of the layer. */
const foreignXattrs: ReadonlySet<string> = new Set(["security.selinux", "system.nfs4_acl"]);
const defaultAcl = "system.posix_acl_default" as ByteString;
const accessAcl = "system.posix_acl_access" as ByteString;

const setBits = 0o7000;
const setgidBit = 0o2000;

// What a new file gets from this process, which is root and whose umask does not change.
const ownUid = process.geteuid?.() ?? 0;
const ownGid = process.getegid?.() ?? 0;
const mask = process.umask();

/** Whether a new file in `directory` has another owner than its entry says. */
const ownerDiffers = (directory: Directory, entry: TarEntry): boolean =>
  directory.setgid || entry.uid !== ownUid || entry.gid !== ownGid;

/** Whether the new file may lack some bits of its mode. */
const modeDiffers = (directory: Directory, entry: TarEntry): boolean =>
  (entry.mode & (mask | setBits)) !== 0 || directory.setgid || directory.inheritsAcl || entry.xattrs.has(accessAcl);

/** The permissions to make a file with: a change of owner clears setuid and setgid, so they are set later. */
export const creationMode = (entry: TarEntry): number => entry.mode & ~setBits;

export function finishFile(descriptor: number, directory: Directory, entry: TarEntry): void {
  const { name } = entry;
  if (ownerDiffers(directory, entry)) must(changeOwner(descriptor, entry.uid, entry.gid), "fchown", name);
  if (directory.inheritsAcl) clearXattrs({ descriptor }, name);
  applyXattrs({ descriptor }, entry);
  if (modeDiffers(directory, entry)) must(changeMode(descriptor, entry.mode), "fchmod", name);
  must(changeTimes(descriptor, entry.atime ?? entry.mtime, entry.mtime), "utimensat", name);
}

/** Devices, fifos and symbolic links, which must not be opened. */
export function finishNode(directory: Directory, base: ByteString, entry: TarEntry): void {
  const { name } = entry;
  const { descriptor } = directory;
  const subject = { directory: descriptor, name: base };
  if (ownerDiffers(directory, entry)) must(changeOwnerIn(descriptor, base, entry.uid, entry.gid), "fchownat", name);
  if (directory.inheritsAcl) clearXattrs(subject, name);
  applyXattrs(subject, entry);
  if (entry.type !== "symlink" && modeDiffers(directory, entry)) {
    must(changeModeIn(descriptor, base, entry.mode), "fchmodat", name);
  }
  must(changeTimesIn(descriptor, base, entry.atime ?? entry.mtime, entry.mtime), "utimensat", name);
}

/**
 * A directory: the entry's attributes replace its own. Its times are set at the end. `madeIn`: where it was just made; all
 * that it has is then from there.
 */
export function finishDirectory(directory: Directory, entry: TarEntry, madeIn?: Directory): void {
  const { descriptor } = directory;
  const isOld = madeIn === undefined;
  if (isOld || ownerDiffers(madeIn, entry)) must(changeOwner(descriptor, entry.uid, entry.gid), "fchown", entry.name);
  if (isOld || madeIn.inheritsAcl) clearXattrs({ descriptor }, entry.name);
  applyXattrs({ descriptor }, entry);
  if (isOld || modeDiffers(madeIn, entry)) must(changeMode(descriptor, entry.mode), "fchmod", entry.name);
  directory.setInherited((entry.mode & setgidBit) !== 0, entry.xattrs.has(defaultAcl));
}

function applyXattrs(subject: XattrSubject, entry: TarEntry): void {
  for (const [key, value] of entry.xattrs) {
    if (foreignXattrs.has(key)) continue;
    const result = setXattr(subject, key, value);
    if (result >= 0 || isHarmless(result, key, entry)) continue;
    if (result === -errnos.ENOSPC) refuseTooLarge(subject, key, value.length);
    must(result, `setxattr ${display(key)} of`, entry.name);
  }
}

/** An attribute takes one block; with more space free, ENOSPC means that ext4's space for the file's attributes is full. */
const enoughBytes = 2 ** 20;

function refuseTooLarge(subject: XattrSubject, key: ByteString, valueBytes: number): void {
  const descriptor = "descriptor" in subject ? subject.descriptor : subject.directory;
  if (spaceUnder(descriptor).freeBytesOfRoot < enoughBytes) return;
  const what = `its extended attribute ${display(key)} of ${valueBytes} bytes does not fit`;
  const why = "ext4 has one block (4096 bytes) for all attributes of a file";
  throw failedPrecondition(`${what}: ${why}; xfs takes up to 65536 bytes for each (SNAPMILL_FS_TYPE=xfs)`);
}

/** The file system does not support the namespace (com.apple.*, for example), or user.* is not allowed on such a file. */
function isHarmless(result: number, key: ByteString, entry: TarEntry): boolean {
  if (result === -errnos.EOPNOTSUPP) return true;
  return result === -errnos.EPERM && key.startsWith("user.") && entry.type !== "file" && entry.type !== "directory";
}

function clearXattrs(subject: XattrSubject, name: ByteString): void {
  const keys = listXattrs(subject);
  if (typeof keys === "number") {
    if (keys !== -errnos.EOPNOTSUPP) must(keys, "listxattr", name);
    return;
  }
  for (const key of keys) {
    if (foreignXattrs.has(key)) continue;
    const removed = removeXattr(subject, key);
    if (removed !== -errnos.ENODATA) must(removed, `removexattr ${display(key)} of`, name);
  }
}
