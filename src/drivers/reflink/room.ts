// Room: drivers. Owns the guard against a full pool and a full host: refused before anything is made.
import { resourceExhausted } from "../../domain/errors.ts";
import { spaceOf } from "../../system/space.ts";
import type { OpenPool } from "./pool.ts";

const mebibyte = 2 ** 20;

/**
 * What must stay free for a new device to be made: 2 % of the file system, but 64 MiB at least (what runs already
 * needs room to end well) and 1 GiB at most.
 */
export const defaultMinFreeBytes = (totalBytes: number): number =>
  Math.min(1024 * mebibyte, Math.max(64 * mebibyte, Math.floor(totalBytes / 50)));

/** Below this XFS has refused a write, or will with the next. */
const fullBelowBytes = 4 * mebibyte;

export interface RoomLimits {
  readonly minFreeBytes: number | undefined;
  readonly minHostFreeBytes: number | undefined;
}

/** Throws `resource_exhausted` when there is too little room for anything new. */
export async function requireRoom(pool: OpenPool, limits: RoomLimits): Promise<void> {
  await requireFree("the pool", pool.filesDir, limits.minFreeBytes);
  if (pool.hostDir !== undefined) await requireFree("the host under the pool", pool.hostDir, limits.minHostFreeBytes);
}

/** `minFreeBytes`: default, a share of the file system. */
export async function requireFree(what: string, dir: string, minFreeBytes: number | undefined): Promise<void> {
  const { freeBytes, totalBytes } = await spaceOf(dir);
  const neededBytes = minFreeBytes ?? defaultMinFreeBytes(totalBytes);
  if (freeBytes >= neededBytes) return;
  const wayOut = "remove snapshots, or make room";
  throw resourceExhausted(`${what} has ${freeBytes} bytes free at ${dir} and needs ${neededBytes}; ${wayOut}`);
}

/** Whether writes can have failed for want of room, in the pool or on the host under it. */
export async function isFull(pool: OpenPool): Promise<boolean> {
  const dirs = pool.hostDir === undefined ? [pool.filesDir] : [pool.filesDir, pool.hostDir];
  const spaces = await Promise.all(dirs.map((dir) => spaceOf(dir)));
  return spaces.some((space) => space.freeBytes < fullBelowBytes);
}
