// Owns what each verb of a driver must do and refuse, and how often it may be called.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type DriverFixture, isZeroes, mebibyte, readDevice, rejects } from "./driver-fixture.ts";

/** Declares the tests of single verbs. */
export function describeVerbs(fixture: DriverFixture): void {
  const { nextDevice, pathOf, formatted, snapshotOf, onMounted, put, get, whileMountedAt, remove, found } = fixture;

  test("a device that is merely active is not busy; mounted or open it is", async () => {
    const device = await formatted();
    expect(await fixture.driver.isBusy(device)).toBe(false);
    expect(await onMounted(device, () => fixture.driver.isBusy(device))).toBe(true);
    expect(await fixture.driver.isBusy(device)).toBe(false);
    {
      await using _opened = await open(pathOf(device), "r");
      expect(await fixture.driver.isBusy(device)).toBe(true);
    }
    expect(await fixture.driver.isBusy(device)).toBe(false);
    await fixture.driver.deactivate(device);
    expect(await fixture.driver.isBusy(device)).toBe(false);
    await remove(device);
  });

  test("deactivate and delete refuse a mounted device and leave it as it is", async () => {
    const device = await formatted();
    await whileMountedAt(device, async (dir) => {
      await rejects(fixture.driver.deactivate(device), "failed_precondition", device.deviceName);
      await rejects(fixture.driver.delete(device), "failed_precondition", device.deviceName);
      await rejects(fixture.driver.create(device), "failed_precondition", device.deviceName);
      // Nothing to resume, so nothing is done.
      await fixture.driver.resume(device);
      await writeFile(join(dir, "alive"), "yes", { flush: true });
      expect(await found(device)).toMatchObject({ deviceName: device.deviceName, inPool: true, active: true });
    });
    expect(await get(device, "alive")).toBe("yes");
    await remove(device);
  });

  test("deactivate refuses a device that is merely open, and it stays after the last close", async () => {
    const device = await formatted();
    await put(device, "kept", "kept");
    {
      await using _opened = await open(pathOf(device), "r");
      await rejects(fixture.driver.deactivate(device), "failed_precondition", device.deviceName);
    }
    expect(await get(device, "kept")).toBe("kept");
    await fixture.driver.deactivate(device);
    expect(existsSync(pathOf(device))).toBe(false);
    await remove(device);
  });

  test("every verb is idempotent towards its goal", async () => {
    const device = await formatted();
    await put(device, "file", "content");
    await fixture.driver.activate(device);
    expect(await get(device, "file")).toBe("content");
    await fixture.driver.flush(device);
    await fixture.driver.flush(device);
    await fixture.driver.deactivate(device);
    await fixture.driver.deactivate(device);
    await fixture.driver.flush(device);
    await fixture.driver.activate(device);
    expect(await get(device, "file")).toBe("content");

    const child = await snapshotOf(device);
    await put(child, "file", "changed");
    await fixture.driver.snapshot(device, child);
    await fixture.driver.activate(child);
    expect(await get(child, "file")).toBe("content");

    await fixture.driver.create(child);
    await fixture.driver.activate(child);
    expect(isZeroes(await readDevice(pathOf(child), child.sizeBytes))).toBe(true);
    await remove(child, child, device, device);
    expect(await found(device)).toBeUndefined();
  });

  test("a device that does not exist is not_found, and deactivating or deleting it succeeds", async () => {
    const missing = nextDevice();
    await rejects(fixture.driver.activate(missing), "not_found", missing.deviceName);
    await rejects(fixture.driver.flush(missing), "not_found", missing.deviceName);
    await rejects(fixture.driver.usedBytes(missing), "not_found", missing.deviceName);
    await rejects(fixture.driver.snapshot(missing, nextDevice()), "not_found", missing.deviceName);
    await fixture.driver.deactivate(missing);
    await fixture.driver.delete(missing);
  });

  test("list shows what is in the pool and what is active", async () => {
    const idle = nextDevice(mebibyte);
    const active = nextDevice(mebibyte);
    await fixture.driver.create(idle);
    await fixture.driver.create(active);
    await fixture.driver.activate(active);
    expect(await found(idle)).toMatchObject({ deviceName: idle.deviceName, inPool: true, active: false });
    expect(await found(active)).toMatchObject({ deviceName: active.deviceName, inPool: true, active: true });
    await remove(idle, active);
    expect(await found(active)).toBeUndefined();
  });
}
