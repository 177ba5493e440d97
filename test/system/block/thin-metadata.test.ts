// Tests the parsing of thin-pool metadata: blocks as the kernel writes them, damaged ones and foreign ones.
import { describe, expect, test } from "bun:test";
import { crc32c } from "../../../src/system/block/crc32c.ts";
import { dataBlockIn, parseNode, parseNumbersNode, parseSuperblock } from "../../../src/system/block/thin-metadata.ts";

const salts = { superblock: 160_774, node: 121_107 } as const;

function sealed(block: Buffer, kind: keyof typeof salts): Buffer {
  block.writeUInt32LE((crc32c(0xffffffff, block.subarray(4)) ^ salts[kind]) >>> 0, 0);
  return block;
}

function superblock(flags = 0): Buffer {
  const block = Buffer.alloc(4096);
  block.writeUInt32LE(flags, 4);
  block.writeBigUInt64LE(27_022_010n, 32);
  block.writeBigUInt64LE(77n, 48);
  for (const [offset, total, used] of [
    [64, 8192n, 320n],
    [192, 1024n, 15n],
  ] as const) {
    block.writeBigUInt64LE(total, offset);
    block.writeBigUInt64LE(used, offset + 8);
  }
  block.writeBigUInt64LE(45n, 328);
  block.writeUInt32LE(128, 336);
  return sealed(block, "superblock");
}

/** A node of two entries in block 45, with room for four. */
function node({ flags, valueBytes }: { readonly flags: number; readonly valueBytes: number }): Buffer {
  const block = Buffer.alloc(4096);
  block.writeUInt32LE(flags, 4);
  block.writeBigUInt64LE(45n, 8);
  [2, 4, valueBytes].forEach((value, index) => void block.writeUInt32LE(value, 16 + index * 4));
  [3n, 9n].forEach((key, index) => {
    block.writeBigUInt64LE(key, 32 + index * 8);
    block.writeBigUInt64LE(key * 100n, 64 + index * valueBytes);
  });
  return sealed(block, "node");
}

describe("a thin-pool's metadata", () => {
  test("has the checksum that the kernel computes", () => {
    // The check value of CRC-32C is 0xe3069283, inverted at the end.
    expect(~crc32c(0xffffffff, Buffer.from("123456789")) >>> 0).toBe(0xe3069283);
  });

  test("says in its superblock how full the pool is, without what the kernel keeps back", () => {
    expect(parseSuperblock(superblock())).toMatchObject({
      needsCheck: false,
      transactionId: 77,
      data: { total: 8192, free: 7872 },
      metadata: { total: 1024, free: 1024 - 15 - 102 },
      detailsRoot: 45,
      dataBlockSectors: 128,
    });
    expect(parseSuperblock(superblock(1)).needsCheck).toBe(true);
  });

  test("is refused when it is damaged, or something else", () => {
    const damaged = superblock();
    damaged.writeUInt8(1, 70);
    expect(() => parseSuperblock(damaged)).toThrow("checksum");
    expect(() => parseSuperblock(Buffer.alloc(4096))).toThrow("not the metadata of a thin-pool");
  });

  test("has its devices in the leaves of a tree", () => {
    expect(parseNode(node({ flags: 2, valueBytes: 24 }), 45)).toEqual({
      kind: "leaf",
      deviceIds: [3, 9],
      details: [{ mappedBlocks: 300 }, { mappedBlocks: 900 }],
    });
    expect(parseNode(node({ flags: 1, valueBytes: 8 }), 45)).toEqual({
      kind: "internal",
      deviceIds: [3, 9],
      children: [300, 900],
    });
  });

  test("has the places of data in trees of numbers", () => {
    const { isInternal, keys, values } = parseNumbersNode(node({ flags: 2, valueBytes: 8 }), 45);
    expect({ isInternal, keys, values }).toEqual({ isInternal: false, keys: [3, 9], values: [300n, 900n] });
    expect(dataBlockIn((77n << 24n) | 5n)).toBe(77);
    expect(() => parseNumbersNode(node({ flags: 2, valueBytes: 24 }), 45)).toThrow("another tree");
  });

  test("has nodes of other trees, and nodes that have moved: neither is read as a device's", () => {
    expect(() => parseNode(node({ flags: 2, valueBytes: 8 }), 45)).toThrow("another tree");
    expect(() => parseNode(node({ flags: 2, valueBytes: 24 }), 46)).toThrow("belongs elsewhere");
  });
});
