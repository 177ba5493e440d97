// Tests the parts of a thin-pool that need no kernel: arithmetic, claims, messages, the definition file.
import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { poolName } from "../../../src/domain/identifiers.ts";
import type { PoolStatus } from "../../../src/drivers/devicemapper/control/control.ts";
import type { PoolDefinition } from "../../../src/drivers/devicemapper/pool/definition.ts";
import { definitionPath, readDefinition, writeDefinition } from "../../../src/drivers/devicemapper/pool/definition.ts";
import {
  blockSectorsOf,
  defaultLowWaterBlocks,
  maxMetadataBytes,
  neededMetadataBytes,
  poolTable,
  roomyMetadataBytes,
} from "../../../src/drivers/devicemapper/pool/geometry.ts";
import { poolTrouble } from "../../../src/drivers/devicemapper/pool/health.ts";
import { claimRefusal, ownershipOf, transactionIdOf } from "../../../src/drivers/devicemapper/pool/ownership.ts";
import { parseMetadataContent } from "../../../src/drivers/devicemapper/pool/superblock.ts";
import { deviceNumberText } from "../../../src/system/block/block-devices.ts";
import { temporaryDirectory } from "../../support/directories.ts";

const kibibyte = 2 ** 10;
const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;

const definition: PoolDefinition = {
  pool: poolName("p"),
  storage: { kind: "devices", dataDevice: "/dev/vg/data", metadataDevice: "/dev/vg/meta" },
  blockSectors: 128,
  lowWaterBlocks: 10,
  whenFull: "error",
};

describe("sizes", () => {
  test.each([
    [64 * kibibyte, 128],
    [192 * kibibyte, 384],
    [gibibyte, 2_097_152],
  ])("a block of %d bytes has %d sectors", (bytes, sectors) => {
    expect(blockSectorsOf(bytes)).toBe(sectors);
  });
  test.each([0, 512, 32 * kibibyte, 65 * kibibyte, gibibyte + 64 * kibibyte])(
    "a block cannot have %d bytes",
    (bytes) => {
      expect(() => blockSectorsOf(bytes)).toThrow("in steps of 64KiB");
    },
  );
  test.each([
    [gibibyte, 64 * kibibyte, 2 * mebibyte],
    [20 * gibibyte, 64 * kibibyte, 15_728_640],
    [100 * gibibyte, mebibyte, 4_915_200],
    [2 ** 50, 64 * kibibyte, maxMetadataBytes],
  ])("data of %d bytes in blocks of %d needs metadata of %d", (dataBytes, blockBytes, bytes) => {
    expect(neededMetadataBytes(dataBytes, blockBytes)).toBe(bytes);
  });
  test("what a new pool gets is more than what it needs, whole blocks, and never more than the kernel uses", () => {
    expect(roomyMetadataBytes(20 * gibibyte, 64 * kibibyte)).toBe(2 * 15_728_640 + 16 * mebibyte);
    expect(roomyMetadataBytes(2 ** 50, 64 * kibibyte)).toBe(maxMetadataBytes);
    expect(roomyMetadataBytes(10_000_000_000, 64 * kibibyte) % 4096).toBe(0);
  });
  test("the low-water mark is a tenth, rounded up", () => {
    expect(defaultLowWaterBlocks(gibibyte, 64 * kibibyte)).toBe(1639);
  });
});

describe("the table", () => {
  const devices = { metadataDevice: "/dev/m", dataDevice: "/dev/d", dataBytes: 10 * mebibyte + 5 };
  test("has whole blocks, and fails writes of a full pool unless they are to wait", () => {
    expect(poolTable(definition, devices)).toEqual({
      target: "thin-pool",
      sectors: 20_480,
      metadataDevice: "/dev/m",
      dataDevice: "/dev/d",
      blockSectors: 128,
      lowWaterBlocks: 10,
      features: ["error_if_no_space"],
    });
    expect(poolTable({ ...definition, whenFull: "queue" }, devices).features).toEqual([]);
  });
  test("has blocks zeroed before they are used", () => {
    expect(poolTable(definition, devices).features).not.toContain("skip_block_zeroing");
  });
});

describe("a transaction ID", () => {
  test.each([
    [{ owner: 1, takeOver: 1 }, 2 ** 24 + 1],
    [{ owner: 2 ** 28 - 1, takeOver: 2 ** 24 - 1 }, 2 ** 52 - 1],
  ])("of %j is %d, and back", (ownership, transactionId) => {
    expect(transactionIdOf(ownership)).toBe(transactionId);
    expect(ownershipOf(transactionId)).toEqual(ownership);
  });
  test.each([
    { owner: 0, takeOver: 1 },
    { owner: 2 ** 28, takeOver: 1 },
    { owner: 1, takeOver: 2 ** 24 },
  ])("cannot hold %j", (ownership) => {
    expect(() => transactionIdOf(ownership)).toThrow();
  });
  test.each([
    [0, undefined],
    [transactionIdOf({ owner: 7, takeOver: 5 }), undefined],
    [transactionIdOf({ owner: 7, takeOver: 4 }), undefined],
    [transactionIdOf({ owner: 7, takeOver: 6 }), "older than the pool"],
    [transactionIdOf({ owner: 8, takeOver: 1 }), "another owner's"],
    [12, "another owner's"],
  ])("%d lets owner 7 take over after its 5th time, or says why not", (transactionId, words) => {
    const refusal = claimRefusal("p", transactionId, { owner: 7, takeOver: 5 });
    if (words === undefined) expect(refusal).toBeUndefined();
    else expect(refusal).toContain(words);
  });
});

describe("a pool says what is wrong with it", () => {
  const status: PoolStatus = {
    target: "thin-pool",
    mode: "rw",
    needsCheck: false,
    transactionId: 0,
    usedMetadataBlocks: 10,
    totalMetadataBlocks: 100,
    usedDataBlocks: 10,
    totalDataBlocks: 100,
    heldMetadataRoot: undefined,
  };
  test.each([
    [{}, undefined],
    [{ mode: "out_of_data_space" }, undefined],
    [{ mode: "ro" }, "load it again"],
    [{ mode: "ro", usedMetadataBlocks: 100 }, "'snapmill pool grow p' makes room"],
    [{ mode: "ro", needsCheck: true }, "thin_check --clear-needs-check-flag /dev/vg/meta"],
    [{ mode: "failed" }, "thin_repair -i /dev/vg/meta"],
  ] as const)("%j", (given, words) => {
    const trouble = poolTrouble(definition, { ...status, ...given });
    if (words === undefined) expect(trouble).toBeUndefined();
    else expect(trouble).toContain(words);
  });
});

describe("a metadata device", () => {
  test.each([
    ["empty", Buffer.alloc(4096)],
    ["empty", Buffer.alloc(0)],
    ["foreign", Buffer.alloc(4096, 1)],
    ["foreign", Buffer.alloc(100, 1)],
  ])("is %s", (kind, block) => {
    expect(parseMetadataContent(block)).toEqual({ kind: kind === "empty" ? "empty" : "foreign" });
  });
});

describe("a definition", () => {
  const loopback = { kind: "loopback", directory: "/d", dataBytes: 2 ** 30, metadataBytes: 2 ** 21 } as const;
  test.each([definition, { ...definition, storage: loopback, whenFull: "queue" }] as const)(
    "comes back as it was written",
    async (given) => {
      await using directory = await temporaryDirectory();
      expect(await readDefinition(directory.path)).toBeUndefined();
      await writeDefinition(directory.path, given);
      expect(await readDefinition(directory.path)).toEqual(given);
    },
  );
  test.each([
    ["", "it is not JSON"],
    ["[]", "is damaged"],
    [JSON.stringify({ ...definition, blockSectors: 100 }), "blockSectors"],
    [JSON.stringify({ ...definition, storage: { ...loopback, directory: "relative" } }), "storage.directory"],
    [JSON.stringify({ ...definition, pool: "No Name" }), "pool: pool name"],
    [JSON.stringify({ ...definition, more: 1 }), "more"],
  ])("that is damaged is named, with the fault: %s", async (text, words) => {
    await using directory = await temporaryDirectory();
    await writeFile(definitionPath(directory.path), text);
    const reading = readDefinition(directory.path);
    await expect(reading).rejects.toMatchObject({ code: "failed_precondition" });
    await expect(readDefinition(directory.path)).rejects.toThrow(words);
  });
});

test.each([
  [0x0803, "8:3"],
  [0x700, "7:0"],
  [0x1000_07fe, "7:65790"],
])("the device number %d is %s", (rdev, text) => {
  expect(deviceNumberText(rdev)).toBe(text);
});
