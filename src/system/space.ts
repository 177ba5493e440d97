// Room: system. Owns the question how much room a file system has.
import { statfs } from "node:fs/promises";

export interface Space {
  /** What an unprivileged writer could still take: reserved blocks do not count as free. */
  readonly freeBytes: number;
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** The space of the file system that `path` (which exists) lies on. */
export async function spaceOf(path: string): Promise<Space> {
  const { bsize, blocks, bfree, bavail } = await statfs(path);
  return { freeBytes: bavail * bsize, usedBytes: (blocks - bfree) * bsize, totalBytes: blocks * bsize };
}
