import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type DeviceId, deviceName } from "../../src/domain/identifiers.ts";
import { chooseDriver, createDriver, devicePathOf, usedBytesOf } from "../../src/drivers/open.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { mebibyte, poolInFile } from "./reflink-test-pools.ts";

setDefaultTimeout(60_000);

describe("the choice of a driver", () => {
  test("left to itself it is the driver of the pool that is there, and reflink where there is none", async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    expect([chooseDriver("auto", path), chooseDriver("reflink", path), chooseDriver("devmapper", path)]).toEqual([
      "reflink",
      "reflink",
      "devmapper",
    ]);
    // A half-made pool is taken down by its own driver only.
    await Bun.write(join(path, ".new-thin-pool.json"), "{}");
    expect(chooseDriver("auto", path)).toBe("devmapper");
    await rm(join(path, ".new-thin-pool.json"));
    await Bun.write(join(path, "thin-pool.json"), "{}");
    expect([chooseDriver("auto", path), chooseDriver("devmapper", path)]).toEqual(["devmapper", "devmapper"]);
    expect(() => chooseDriver("reflink", path)).toThrow("--driver devmapper");
    await rm(join(path, "thin-pool.json"));
    await Bun.write(join(path, "pool.img"), "");
    expect(chooseDriver("auto", path)).toBe("reflink");
    expect(() => chooseDriver("devmapper", path)).toThrow("--driver reflink");
  });

  test("path and usage of a device are the same with and without an open pool", async () => {
    await using testPool = await poolInFile();
    const { options } = testPool;
    const thin = { dmControl: "dmsetup", minFreeShare: 0.1, discardBlocks: false } as const;
    const driver = createDriver({ ...options, ...thin, driver: "auto" });
    await driver.open();
    const device = { deviceId: 1 as DeviceId, deviceName: deviceName(testPool.pool, 1), sizeBytes: 16 * mebibyte };
    await driver.create(device);
    await driver.activate(device);
    const path = devicePathOf("reflink", options.devicesDir, device.deviceName);
    expect(path).toBe(driver.devicePath(device.deviceName));
    await Bun.write(Bun.file(path), "x".repeat(3 * mebibyte));
    await driver.flush(device);
    const usedBytes = await usedBytesOf("reflink", options.poolDir, device);
    expect(usedBytes).toBe(await driver.usedBytes(device));
    expect(usedBytes).toBeGreaterThanOrEqual(3 * mebibyte);
    await driver.close();
    await expect(usedBytesOf("reflink", options.poolDir, device)).rejects.toMatchObject({
      code: "not_found",
    });
  });
});
