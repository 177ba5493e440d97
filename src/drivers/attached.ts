// Room: drivers. Owns which mounts and loop devices of a pool are attached to the host, found without opening the pool.
import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { findLoops } from "../system/block/attached-loops.ts";
import { isMountPoint } from "../system/mount/mountinfo.ts";
import type { DriverName } from "./port.ts";
import { filesDir, imagePath } from "./reflink/layout.ts";

/** Mounts and loop devices that exist only while a worker has the pool open. A thin-pool may always be loaded. */
export async function attachedParts(driver: DriverName, poolDir: string): Promise<string[]> {
  switch (driver) {
    case "reflink": {
      const image = imagePath(poolDir);
      if (!existsSync(image)) return [];
      const loops = await findLoops(await realpath(image));
      return [
        ...((await isMountPoint(filesDir(poolDir))) ? [filesDir(poolDir)] : []),
        ...loops.map(({ path }) => path),
      ];
    }
    case "devmapper":
      return [];
  }
}
