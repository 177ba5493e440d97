// Owns what devices and their snapshots must contain, how large they are and how much room they take.
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fsTypes } from "../../src/domain/devices.ts";
import { spaceOf } from "../../src/system/file/space.ts";
import { growFileSystem } from "../../src/system/mount/filesystems.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { type DriverFixture, isZeroes, mebibyte, readDevice, rejects } from "./driver-fixture.ts";

/** Declares the tests of contents and sizes. */
export function describeSnapshots(fixture: DriverFixture): void {
  const { nextDevice, pathOf, formatted, snapshotOf, onMounted, put, get, whileMountedAt, remove, found } = fixture;

  test("a new device reads as zeroes, has its size, and stays sparse", async () => {
    const device = nextDevice(3 * mebibyte);
    await fixture.driver.create(device);
    await fixture.driver.activate(device);
    const content = await readDevice(pathOf(device), 4 * mebibyte);
    expect(content.length).toBe(3 * mebibyte);
    expect(isZeroes(content)).toBe(true);
    expect(await fixture.driver.usedBytes(device)).toBeLessThan(mebibyte);
    await remove(device);
  });

  for (const fsType of fsTypes) {
    test(`what is written on ${fsType} shows in a later snapshot, and neither side sees the other's writes`, async () => {
      const origin = await formatted(320 * mebibyte, fsType);
      await put(origin, "shared", "from the origin", fsType);
      await fixture.driver.flush(origin);
      const child = await snapshotOf(origin);
      await put(origin, "shared", "changed in the origin", fsType);
      await put(child, "only-child", "child", fsType);
      expect(await get(child, "shared", fsType)).toBe("from the origin");
      expect(await get(origin, "shared", fsType)).toBe("changed in the origin");
      expect(await get(origin, "only-child", fsType)).toBe("absent");
      await remove(child, origin);
    });
  }

  test("a snapshot of an active, mounted origin contains a file that was just written and synced", async () => {
    const origin = await formatted();
    const child = nextDevice();
    await whileMountedAt(origin, async (dir) => {
      await writeFile(join(dir, "synced"), "here", { flush: true });
      await fixture.driver.snapshot(origin, child);
      await writeFile(join(dir, "later"), "the origin can be written to again");
    });
    await fixture.driver.activate(child);
    expect(await get(child, "synced")).toBe("here");
    expect(await get(child, "later")).toBe("absent");
    expect(await get(origin, "later")).toBe("the origin can be written to again");
    await remove(child, origin);
  });

  test("a snapshot of a mounted origin contains a file that was written and not synced", async () => {
    const origin = await formatted();
    const child = nextDevice();
    await whileMountedAt(origin, async (dir) => {
      await writeFile(join(dir, "written"), "x".repeat(100_000));
      await fixture.driver.snapshot(origin, child);
    });
    await fixture.driver.activate(child);
    expect(await get(child, "written")).toBe("x".repeat(100_000));
    await runCommand("e2fsck", ["-f", "-n", pathOf(child)]);
    await remove(child, origin);
  });

  test("flush makes a raw write part of a later snapshot", async () => {
    const device = nextDevice(mebibyte);
    await fixture.driver.create(device);
    await fixture.driver.activate(device);
    await writeFile(pathOf(device), "raw");
    await fixture.driver.flush(device);
    const child = await snapshotOf(device);
    expect((await readDevice(pathOf(child), 3)).toString()).toBe("raw");
    await remove(child, device);
  });

  test("deleting an origin leaves its snapshot whole", async () => {
    const origin = await formatted();
    const text = "content ".repeat(500_000);
    await put(origin, "big", text);
    await fixture.driver.flush(origin);
    const child = await snapshotOf(origin);
    await remove(origin);
    expect((await get(child, "big")) === text).toBe(true);
    await runCommand("e2fsck", ["-f", "-n", pathOf(child)]);
    await remove(child);
  });

  test("usage grows with what is written, and a snapshot shares its origin's blocks", async () => {
    const before = await fixture.driver.poolUsage();
    const origin = await formatted(128 * mebibyte);
    const emptyBytes = await fixture.driver.usedBytes(origin);
    await put(origin, "big", "x".repeat(40 * mebibyte));
    await fixture.driver.flush(origin);
    const usedBytes = await fixture.driver.usedBytes(origin);
    expect(usedBytes - emptyBytes).toBeGreaterThanOrEqual(40 * mebibyte);
    expect(usedBytes - emptyBytes).toBeLessThan(60 * mebibyte);

    const children = [await snapshotOf(origin), await snapshotOf(origin), await snapshotOf(origin)];
    for (const child of children) expect(await fixture.driver.usedBytes(child)).toBeGreaterThanOrEqual(40 * mebibyte);
    const after = await fixture.driver.poolUsage();
    expect(after.totalBytes).toBe(before.totalBytes);
    expect(after.usedBytes - before.usedBytes).toBeGreaterThanOrEqual(40 * mebibyte);
    expect(after.usedBytes - before.usedBytes).toBeLessThan(80 * mebibyte);
    await remove(...children, origin);
  });

  for (const fsType of fsTypes) {
    test(`a child may be larger than its origin, and its ${fsType} grows into the room`, async () => {
      const origin = await formatted(320 * mebibyte, fsType);
      await put(origin, "file", "content", fsType);
      await fixture.driver.flush(origin);
      const child = await snapshotOf(origin, 480 * mebibyte);
      await growFileSystem(pathOf(child), fsType);
      const totalBytes = await onMounted(child, sizeOfFileSystem, fsType);
      expect(totalBytes).toBeGreaterThan(370 * mebibyte);
      expect(await get(child, "file", fsType)).toBe("content");
      await remove(child, origin);
    });
  }

  test("a child smaller than its origin is refused before anything is made", async () => {
    const origin = nextDevice(8 * mebibyte);
    const child = nextDevice(4 * mebibyte);
    await fixture.driver.create(origin);
    await rejects(fixture.driver.snapshot(origin, child), "invalid_argument", child.deviceName);
    expect(await found(child)).toBeUndefined();
    await remove(origin);
  });
}

async function sizeOfFileSystem(root: string): Promise<number> {
  return (await spaceOf(`${root}/`)).totalBytes;
}
