// Room: bench. Owns what an unpack cannot do without: igzip (or zstd) and tar, layer by layer, onto an ext4 on a loop device.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { attachLoop } from "../../src/system/block/loop.ts";
import { mountAt, unmount } from "../../src/system/mount/mounts.ts";
import { runTool, type Tools, type Way } from "./way.ts";

const decompressors = { gzip: "igzip", zstd: "zstd" } as const;
const extract = '"$1" -dc "$2" | tar -x -C "$3" --numeric-owner -p';

export const floor = (tools: Tools, deviceBytes: number): Way => ({
  name: "floor: igzip, tar",
  open: async (directory, { blobs, compression }) => {
    await using scope = new AsyncDisposableStack();
    const device = join(directory, "device.img");
    const root = join(directory, "root");
    mkdirSync(root);
    await runTool(tools, "truncate", "-s", String(deviceBytes), device);
    await runTool(tools, "mkfs.ext4", "-q", "-F", device);
    const loop = scope.use(await attachLoop(device, { directIo: true }));
    await mountAt(loop.path, root, "ext4");
    scope.defer(() => unmount(root));
    const held = scope.move();
    return {
      unpack: async () => {
        for (const blob of blobs) {
          await runTool(tools, "sh", "-c", extract, "sh", decompressors[compression], blob, root);
        }
      },
      written: [root, directory],
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  },
});
