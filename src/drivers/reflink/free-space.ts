// Room: drivers. Owns the check of free space, in the pool and on the host, before anything new is made.
import { requireFree, spaceOf } from "../../system/file/space.ts";
import type { OpenPool } from "./pool.ts";

const mebibyte = 2 ** 20;

/** With less than this free, XFS has refused a write or refuses the next. */
const fullBelowBytes = 4 * mebibyte;

export interface FreeSpaceLimits {
  readonly minFreeBytes: number | undefined;
  readonly minHostFreeBytes: number | undefined;
}

/** Throws `resource_exhausted` when there is too little space for anything new. */
export async function requireFreeSpace(pool: OpenPool, limits: FreeSpaceLimits): Promise<void> {
  await requireFree("the pool", pool.filesDir, limits.minFreeBytes);
  if (pool.hostDir !== undefined) await requireFree("the host under the pool", pool.hostDir, limits.minHostFreeBytes);
}

/** Whether writes may have failed for lack of space, in the pool or on the host. */
export async function isFull(pool: OpenPool): Promise<boolean> {
  const dirs = pool.hostDir === undefined ? [pool.filesDir] : [pool.filesDir, pool.hostDir];
  const spaces = await Promise.all(dirs.map((dir) => spaceOf(dir)));
  return spaces.some((space) => space.freeBytes < fullBelowBytes);
}
