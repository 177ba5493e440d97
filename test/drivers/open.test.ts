import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type DeviceId, deviceName } from "../../src/domain/identifiers.ts";
import { chooseDriver, createDriver, devicePathOf, usedBytesOf } from "../../src/drivers/open.ts";
import { mebibyte, poolInFile } from "./reflink-grounds.ts";

setDefaultTimeout(60_000);

describe("the choice of a driver", () => {
  test("left to itself it is reflink; devmapper is refused in words", () => {
    expect(chooseDriver("auto")).toBe("reflink");
    expect(chooseDriver("reflink")).toBe("reflink");
    expect(() => chooseDriver("devmapper")).toThrow("--driver reflink");
  });

  test("path and usage of a device are the same with and without an open pool", async () => {
    await using ground = await poolInFile();
    const { options } = ground;
    const driver = createDriver({ ...options, driver: "auto" });
    await driver.open();
    const device = { deviceId: 1 as DeviceId, deviceName: deviceName(ground.pool, 1), sizeBytes: 16 * mebibyte };
    await driver.create(device);
    await driver.activate(device);
    const path = devicePathOf("reflink", options.devicesDir, device.deviceName);
    expect(path).toBe(driver.devicePath(device.deviceName));
    await Bun.write(Bun.file(path), "x".repeat(3 * mebibyte));
    await driver.flush(device);
    const usedBytes = await usedBytesOf("reflink", options.poolDir, device.deviceName);
    expect(usedBytes).toBe(await driver.usedBytes(device));
    expect(usedBytes).toBeGreaterThanOrEqual(3 * mebibyte);
    await driver.close();
    await expect(usedBytesOf("reflink", options.poolDir, device.deviceName)).rejects.toMatchObject({
      code: "not_found",
    });
  });
});
