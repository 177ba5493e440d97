// Room: test. Owns damage to a thin-pool's metadata, as the kernel would leave it.
import { readFile, writeFile } from "node:fs/promises";
import { crc32c } from "../../src/system/block/crc32c.ts";

/** In the metadata file of a pool that is not loaded, what the kernel writes when a commit failed: flag and checksum. */
export async function markForCheck(metadata: string): Promise<void> {
  const content = await readFile(metadata);
  const block = content.subarray(0, 4096);
  block.writeUInt32LE(block.readUInt32LE(4) | 1, 4);
  block.writeUInt32LE((crc32c(0xffffffff, block.subarray(4)) ^ 160_774) >>> 0, 0);
  await writeFile(metadata, content);
}
