// Tests how large a new device is.
import { describe, expect, test } from "bun:test";
import { type Labels, labelNames } from "../../src/domain/snapshots.ts";
import { deviceSizeFor } from "../../src/snapshotter/device-size.ts";

const mebibyte = 2 ** 20;
const sizeWith = (labels: Labels, parentBytes?: number, fsType: "ext4" | "xfs" = "ext4") =>
  deviceSizeFor({ fsType, labels, parentBytes, defaultBytes: 100 * mebibyte, maxBytes: 2 ** 40 }) / mebibyte;

describe("a device", () => {
  test.each<[string, string | undefined, number | undefined, number]>([
    ["a base without a label has the default", undefined, undefined, 100],
    ["a child without a label has its parent's", undefined, 50, 50],
    ["a base with a label has that, up or down", "20MiB", undefined, 20],
    ["a child with a smaller label has its parent's", "20MiB", 50, 50],
    ["a child with a larger label has that", "1GiB", 50, 1024],
    ["an empty label is none", "", 50, 50],
    ["a size is rounded up to whole MiB", "20.5MiB", undefined, 21],
  ])("of %s", (_title, label, parentMebibytes, expected) => {
    const labels = label === undefined ? {} : { [labelNames.maxSize]: label };
    expect(sizeWith(labels, parentMebibytes === undefined ? undefined : parentMebibytes * mebibyte)).toBe(expected);
  });

  test("of a size that its file system cannot have is refused", () => {
    expect(() => sizeWith({ [labelNames.maxSize]: "8MiB" })).toThrow("too small for ext4");
    expect(() => sizeWith({ [labelNames.maxSize]: "200MiB" }, undefined, "xfs")).toThrow("too small for xfs");
    expect(() => sizeWith({ [labelNames.maxSize]: "big" })).toThrow("is not valid");
  });

  test("of a size that would keep the pool busy is refused with the way to have it, unless its parent has it", () => {
    const labels = { [labelNames.maxSize]: "100TiB" };
    expect(() => sizeWith(labels)).toThrow("SNAPMILL_MAX_DEVICE_SIZE");
    expect(() => sizeWith(labels, 50)).toThrow("1.0 TiB");
    expect(sizeWith(labels, 100 * 2 ** 40)).toBe(100 * 2 ** 20);
    expect(sizeWith({ [labelNames.maxSize]: "1TiB" })).toBe(2 ** 20);
  });
});
