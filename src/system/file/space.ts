// Room: system. Owns the question how much room a file system has, and whether that is enough for something new.
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { resourceExhausted } from "../../domain/errors.ts";
import { formatSize } from "../../domain/units.ts";
import { isErrno } from "../ffi/errno.ts";

export interface Space {
  /** What an unprivileged writer could still take: reserved blocks do not count as free. */
  readonly freeBytes: number;
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** What something is written to in the end, and can run full. A thin-pool says it in its metadata. */
export type SpaceSource =
  | { readonly kind: "file-system"; readonly path: string }
  | { readonly kind: "thin-pool"; readonly metadataDevice: string };

/** The space of the file system that `path` (which exists) lies on. */
export async function spaceOf(path: string): Promise<Space> {
  const { bsize, blocks, bfree, bavail } = await statfs(path);
  return { freeBytes: bavail * bsize, usedBytes: (blocks - bfree) * bsize, totalBytes: blocks * bsize };
}

/** What root can still use of a file system, reserved blocks included. */
export interface Room {
  readonly freeBytes: number;
  readonly freeInodes: number;
  /** 0 where the file system makes inodes as they are needed, and does not count them. */
  readonly inodes: number;
}

/** The room of the file system that an open file lies on. */
export function roomOf(descriptor: number): Room {
  const { bsize, bfree, ffree, files } = statfsSync(`/proc/self/fd/${descriptor}`);
  return { freeBytes: bfree * bsize, freeInodes: ffree, inodes: files };
}

/**
 * Whether this process can write `bytes` into a new file in `directory`. Near the end only a try tells: what statfs counts
 * as free is partly root's, and partly nobody's.
 */
export function hasRoomFor(directory: string, bytes: number): boolean {
  const { bsize, bavail } = statfsSync(directory);
  if (bavail * bsize >= bytes) return true;
  const path = join(directory, `.room-${crypto.randomUUID()}`);
  try {
    writeFileSync(path, new Uint8Array(bytes), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    // Another trouble than room is told by who writes there in earnest.
    return !isErrno(error, "ENOSPC", "EDQUOT");
  } finally {
    rmSync(path, { force: true });
  }
}

const mebibyte = 2 ** 20;

/**
 * What must stay free for a new device to be made: 2 % of the file system, but 64 MiB at least (what runs already
 * needs room to end well) and 1 GiB at most.
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
