// Owns what a driver must survive: closing, a reboot, the death of its process, a full pool.
import { expect, test } from "bun:test";
import { closeSync, constants, fsyncSync, openSync, writeSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../../src/system/process/commands.ts";
import { type DriverFixture, mebibyte, rejects } from "./driver-fixture.ts";

/** Declares the tests of what comes after a driver: closed, rebooted or dead. */
export function describeEnds(fixture: DriverFixture): void {
  const { pathOf, formatted, put, get, whileMountedAt, remove, found } = fixture;

  test("a pool that was closed has nothing on the host, and has its content when it is opened again", async () => {
    const device = await formatted();
    await put(device, "file", "content");
    await fixture.driver.flush(device);
    expect(await fixture.driver.close()).toEqual({ stillInUse: [] });
    expect(await fixture.driver.close()).toEqual({ stillInUse: [] });
    expect(await fixture.testPool.leftOnHost()).toEqual([]);
    await fixture.reconnect();
    await fixture.driver.open();
    expect(await found(device)).toMatchObject({ deviceName: device.deviceName, inPool: true, active: false });
    await fixture.driver.activate(device);
    expect(await get(device, "file")).toBe("content");
    await remove(device);
  });

  test("after a reboot the pool opens with its content, and the active device can be activated again", async () => {
    const device = await formatted();
    await put(device, "file", "content");
    await fixture.driver.flush(device);
    await fixture.testPool.reboot();
    expect(await fixture.testPool.leftOnHost()).toEqual([]);
    await fixture.reconnect();
    expect(await found(device)).toMatchObject({ deviceName: device.deviceName, inPool: true, active: false });
    await fixture.driver.activate(device);
    expect(await get(device, "file")).toBe("content");
    await remove(device);
  });

  test("closing leaves a device that is in use and says so; the next opening takes it up again", async () => {
    const device = await formatted();
    await whileMountedAt(device, async (dir) => {
      const { stillInUse } = await fixture.driver.close();
      expect(stillInUse.join()).toContain(device.deviceName);
      await writeFile(join(dir, "meanwhile"), "works", { flush: true });
      await fixture.reconnect();
      expect(await fixture.driver.isBusy(device)).toBe(true);
    });
    expect(await get(device, "meanwhile")).toBe("works");
    await remove(device);
  });

  test("the next process takes up the active devices of one that died, under the same paths", async () => {
    const device = await formatted();
    const path = pathOf(device);
    // All that a driver holds in its process is memory: to forget it is to die.
    await fixture.reconnect();
    expect(await found(device)).toMatchObject({ deviceName: device.deviceName, inPool: true, active: true });
    expect(pathOf(device)).toBe(path);
    await put(device, "file", "content");
    await remove(device);
    expect(await found(device)).toBeUndefined();
  });
}

/** Declares the tests that fill the pool. */
export function describeFullPool(fixture: DriverFixture): void {
  const { nextDevice, pathOf, formatted, snapshotOf, onMounted, put, get, remove } = fixture;

  test("in a full pool nothing is created, lost writes are reported, and freed space is used again", async () => {
    const device = await formatted(1024 * mebibyte);
    const kept = await formatted();
    await put(kept, "file", "kept");
    await fixture.driver.flush(kept);
    const { failed } = await onMounted(device, (root) => fillUp(join(root, "big")));
    expect(failed).toBe(true);
    await rejects(fixture.driver.flush(device), "resource_exhausted", device.deviceName);
    await rejects(fixture.driver.create(nextDevice()), "resource_exhausted", "");
    await rejects(fixture.driver.snapshot(kept, nextDevice()), "resource_exhausted", "");
    await remove(device);
    expect(await get(kept, "file")).toBe("kept");
    await runCommand("e2fsck", ["-f", "-n", pathOf(kept)]);
    const child = await snapshotOf(kept);
    expect(await get(child, "file")).toBe("kept");
    await remove(child, kept);
  });

  test("writes that were lost to a full pool are remembered when there is room again", async () => {
    const device = await formatted(1024 * mebibyte);
    const ballast = nextDevice(200 * mebibyte);
    await fixture.driver.create(ballast);
    await fixture.driver.activate(ballast);
    await runCommand("dd", ["if=/dev/zero", `of=${pathOf(ballast)}`, "bs=1M", "count=200", "conv=fsync"]);
    await onMounted(device, (root) => fillUp(join(root, "big")));
    await remove(ballast);
    const checkpoint = nextDevice(device.sizeBytes);
    await rejects(fixture.driver.checkpoint(device, checkpoint), "resource_exhausted", device.deviceName);
    await remove(checkpoint);
    await rejects(fixture.driver.flush(device), "resource_exhausted", device.deviceName);
    await remove(device);
  });

  test("a raw write that did not fit is reported by flush", async () => {
    const device = nextDevice(1024 * mebibyte);
    await fixture.driver.create(device);
    await fixture.driver.activate(device);
    await runCommand("dd", ["if=/dev/zero", `of=${pathOf(device)}`, "bs=1M", "count=470"], { successCodes: [0, 1] });
    await rejects(fixture.driver.flush(device), "resource_exhausted", device.deviceName);
    await remove(device);
  });
}

/** Writes until the pool is full; `failed` when a write or the sync at the end said so. */
async function fillUp(path: string): Promise<{ failed: boolean }> {
  const chunk = Buffer.alloc(4 * mebibyte, 0x5a);
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT);
  try {
    for (let count = 0; count < 120; count++) writeSync(fd, chunk);
    fsyncSync(fd);
    return { failed: false };
  } catch {
    return { failed: true };
  } finally {
    closeSync(fd);
    await Promise.resolve();
  }
}
