// Room: system. Owns whether a block device is in use by any process or mount.
import { readdir, readlink } from "node:fs/promises";
import { isErrno } from "../ffi/errno.ts";
import { isHeldExclusively } from "./loop.ts";

/**
 * Whether the block device at `path` (as it is named in /dev) is mounted or open. The kernel tells of mounts and other
 * exclusive holders; other users are found by the descriptors of all processes.
 */
export const isInUse = async (path: string): Promise<boolean> =>
  (await isHeldExclusively(path)) || (await isOpenAnywhere(path));

async function isOpenAnywhere(path: string): Promise<boolean> {
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  for (const process of processes) {
    const dir = `/proc/${process}/fd`;
    const targets = await Promise.all((await list(dir)).map((fd) => target(`${dir}/${fd}`)));
    if (targets.includes(path)) return true;
  }
  return false;
}

const list = (dir: string) => readdir(dir).catch(whenGone<string[]>([]));
const target = (link: string) => readlink(link).catch(whenGone<string>(""));

/** A process or its descriptor may disappear during the search. */
const whenGone =
  <T>(instead: T) =>
  (error: unknown): T => {
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EINVAL")) return instead;
    throw error;
  };
