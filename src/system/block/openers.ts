// Room: system. Owns whether a block device is in use by any process or mount.

import { holdersIn } from "./holder-facts.ts";
import { scanHolders } from "./holder-scan.ts";
import { isHeldExclusively } from "./loop.ts";

/**
 * Whether the block device at `path` is mounted or open, now. The kernel tells of mounts and other exclusive holders; other
 * users are found by the descriptors of all processes.
 */
export const isInUse = async (path: string): Promise<boolean> =>
  (await isHeldExclusively(path)) || holdersIn(await scanHolders(), path).holders.length > 0;
