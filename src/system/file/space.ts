// Room: system. Owns how much space a file system has, and whether that is enough for something new.
import { rmSync, type StatsFs, statfsSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { resourceExhausted } from "../../domain/errors.ts";
import { formatSize } from "../../domain/units.ts";
import { isErrno } from "../ffi/errno.ts";

/** How much a file system has, and has left. */
export interface Space {
  /** For an unprivileged writer: without the blocks that are reserved for root. */
  readonly freeBytes: number;
  /** For root. */
  readonly freeBytesOfRoot: number;
  readonly usedBytes: number;
  readonly totalBytes: number;
  /** Infinity where the file system makes inodes as they are needed, and does not count them. */
  readonly freeInodes: number;
  readonly totalInodes: number;
}

/** Where written data is finally stored and space can run out. A thin-pool's metadata says how much is free. */
export type SpaceSource =
  | { readonly kind: "file-system"; readonly path: string }
  | { readonly kind: "thin-pool"; readonly metadataDevice: string };

/** The space of the file system that `path` (which exists) lies on. */
export const spaceOf = async (path: string): Promise<Space> => spaceFrom(await statfs(path));

/** The same synchronously, for a thread that may block. */
export const spaceOfSync = (path: string): Space => spaceFrom(statfsSync(path));

/** The space of the file system that an open file lies on. */
export const spaceUnder = (descriptor: number): Space => spaceOfSync(`/proc/self/fd/${descriptor}`);

const spaceFrom = ({ bsize, blocks, bfree, bavail, files, ffree }: StatsFs): Space => ({
  freeBytes: bavail * bsize,
  freeBytesOfRoot: bfree * bsize,
  usedBytes: (blocks - bfree) * bsize,
  totalBytes: blocks * bsize,
  freeInodes: files === 0 ? Number.POSITIVE_INFINITY : ffree,
  totalInodes: files,
});

/**
 * Whether this process can write `bytes` into a new file in `directory`. Near the end only a try tells: of what statfs
 * counts as free, a part is root's, and a part can be had by no process.
 */
export function hasRoomFor(directory: string, bytes: number): boolean {
  if (spaceOfSync(directory).freeBytes >= bytes) return true;
  const path = join(directory, `.room-${crypto.randomUUID()}`);
  try {
    writeFileSync(path, new Uint8Array(bytes), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    // Any other failure is reported by the write that is meant.
    return !isErrno(error, "ENOSPC", "EDQUOT");
  } finally {
    rmSync(path, { force: true });
  }
}

const mebibyte = 2 ** 20;

/**
 * What must be free for a new device to be made: 2 % of the file system, at least 64 MiB (what runs already needs room to
 * finish), at most 1 GiB.
 */
export const defaultMinFreeBytes = (totalBytes: number): number =>
  Math.min(1024 * mebibyte, Math.max(64 * mebibyte, Math.floor(totalBytes / 50)));

/** Throws `resource_exhausted` when less is free. `minFreeBytes`: default, a share of the file system. */
export async function requireFree(what: string, dir: string, minFreeBytes: number | undefined): Promise<void> {
  const { freeBytes, totalBytes } = await spaceOf(dir);
  const neededBytes = minFreeBytes ?? defaultMinFreeBytes(totalBytes);
  if (freeBytes >= neededBytes) return;
  const wayOut = "remove snapshots, or make room";
  const free = formatSize(freeBytes);
  throw resourceExhausted(`${what} has ${free} free at ${dir} and needs ${formatSize(neededBytes)}: ${wayOut}`);
}
