// Room: drivers. Owns the names of everything that a reflink pool puts on disk.
import { basename, join } from "node:path";
import { type DeviceName, deviceName, type PoolName } from "../../domain/identifiers.ts";

/** The file of the pool's own file system, if it has one. */
export const imagePath = (poolDir: string): string => join(poolDir, "pool.img");

/**
 * Logical block size of every loop device, as direct I/O on a shared (reflinked) file needs it. The kernel would choose
 * 512 for a new file and 4096 for its copy, and XFS can only be mounted with the size that it was made with.
 */
export const blockBytes = 4096;

/** The directory of the devices' files: a plain one, or the mount point of the pool's own file system. */
export const filesDir = (poolDir: string): string => join(poolDir, "devices");

const suffix = ".img";
const newPrefix = ".new-";
const frozenPrefix = ".frozen-";

export const deviceFile = (dir: string, device: DeviceName): string => join(dir, device + suffix);

const copiesSuffix = ".copies";

/** The directory of the copies of a device that whoever has it mounted has made. */
export const copiesDir = (dir: string, device: DeviceName): string => join(dir, device + copiesSuffix);

/** The device that the copies in the directory called `name` are of; undefined for what is no such directory. */
export const deviceOfCopies = (pool: PoolName, name: string): DeviceName | undefined =>
  name.endsWith(copiesSuffix) ? deviceOfLink(pool, name.slice(0, -copiesSuffix.length)) : undefined;

/** The stable path of an active device: a symbolic link to its loop device. */
export const devicePath = (linksDir: string, device: DeviceName): string => join(linksDir, device);

/** The name of an unfinished file, which any process may remove. */
export const halfMade = (path: string): string => join(path, "..", newPrefix + basename(path));
export const isHalfMade = (name: string): boolean => name.startsWith(newPrefix);

/** A file next to the stable path that marks a file system frozen by this driver, so that a restart can thaw it. */
export const frozenMark = (linksDir: string, device: DeviceName): string => join(linksDir, frozenPrefix + device);

/** The device whose file is called `name`; undefined for what no device of the pool is called. */
export const deviceOfFile = (pool: PoolName, name: string): DeviceName | undefined =>
  name.endsWith(suffix) ? deviceOfLink(pool, name.slice(0, -suffix.length)) : undefined;

export const deviceOfMark = (pool: PoolName, name: string): DeviceName | undefined =>
  name.startsWith(frozenPrefix) ? deviceOfLink(pool, name.slice(frozenPrefix.length)) : undefined;

/** The device whose stable path ends in `name`. */
export function deviceOfLink(pool: PoolName, name: string): DeviceName | undefined {
  const prefix = `${pool}-snap-`;
  if (!name.startsWith(prefix)) return undefined;
  const serial = name.slice(prefix.length);
  return /^(0|[1-9]\d{0,14})$/.test(serial) ? deviceName(pool, Number(serial)) : undefined;
}
