// Room: test. Owns the estimate of what layers will take of a pool, and what there is for them.
import { expect, test } from "bun:test";
import { defaultMinFreeBytes, spaceOf } from "../../src/system/file/space.ts";
import { estimatedBytes, expansionOf, spareBytes } from "../../src/unpack/spare-room.ts";
import { temporaryDirectory } from "../support/directories.ts";

const mebibyte = 2 ** 20;

test("compressed layers are expected to grow as the pool's layers did, once there are enough of them", () => {
  const grown = (compressedMiB: number, miB: number) =>
    expansionOf({ compressedBytes: compressedMiB * mebibyte, bytes: miB * mebibyte });
  expect(grown(0, 0)).toEqual({ factor: 3, basis: "assumed" });
  expect(grown(63, 630)).toEqual({ factor: 3, basis: "assumed" });
  expect(grown(100, 250)).toEqual({ factor: 2.5, basis: "history" });
});

test("a layer takes a tenth and 4 MiB besides what it holds; one that is stored as it is does not grow", () => {
  const expansion = { factor: 3, basis: "assumed" } as const;
  const lengthBytes = 100 * mebibyte;
  expect(estimatedBytes({ lengthBytes, compression: "gzip" }, expansion)).toBe(334 * mebibyte);
  expect(estimatedBytes({ lengthBytes, compression: "none" }, expansion)).toBe(114 * mebibyte);
});

test("what must stay free for a snapshot to be made is not to spare", async () => {
  await using directory = await temporaryDirectory();
  const source = { kind: "file-system", path: directory.path } as const;
  const { freeBytes, totalBytes } = await spaceOf(directory.path);
  const spare = await spareBytes([source, source], { minFreeShare: 0.1 });
  expect(Math.abs(spare - Math.max(0, freeBytes - defaultMinFreeBytes(totalBytes)))).toBeLessThan(2 ** 32);
  expect(spare).toBeLessThan(freeBytes);
});
