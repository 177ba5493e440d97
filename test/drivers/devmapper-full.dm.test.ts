// Tests a thin-pool that runs out of data or metadata: what is refused, what callers are told, and how it recovers.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { type DeviceId, deviceName } from "../../src/domain/identifiers.ts";
import { metadataBlockBytes } from "../../src/drivers/devicemapper/control/control.ts";
import { createThinPool } from "../../src/drivers/devicemapper/pool/create.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/pool/definition.ts";
import type { PoolUsage } from "../../src/drivers/port.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { rejects } from "../conformance/driver-fixture.ts";
import { controls, mebibyte, thinPool } from "./thin-test-pool.ts";

setDefaultTimeout(300_000);

describe("a pool that is nearly full", () => {
  test("refuses anything new below the share that must be free, before it is made", async () => {
    await using testPool = await thinPool("libdevmapper", { minFreeShare: 0.85 });
    const driver = testPool.connect();
    await driver.open();
    const device = (serial: number) => ({
      deviceId: serial as DeviceId,
      deviceName: deviceName(testPool.pool, serial),
      sizeBytes: 64 * mebibyte,
    });
    await driver.create(device(1));
    await driver.activate(device(1));
    await runCommand("dd", [
      "if=/dev/zero",
      `of=${driver.devicePath(device(1).deviceName)}`,
      "bs=1M",
      "count=64",
      "conv=fsync",
    ]);
    await rejects(driver.create(device(2)), "resource_exhausted", "data of pool");
    await rejects(driver.snapshot(device(1), device(2)), "resource_exhausted", "data of pool");
    expect(await driver.list([device(1), device(2)])).toHaveLength(1);
    const usage = await driver.poolUsage();
    expect(usage).toMatchObject({ state: "rw", totalBytes: 320 * mebibyte });
    expect(usage.usedBytes).toBe(64 * mebibyte);
    await driver.close();
  });

  test("that runs out of metadata tells it at flush, and gives back what is deleted", async () => {
    await using testPool = await thinPool("libdevmapper");
    const { pool, poolDir } = testPool.options;
    const files = { directory: poolDir, dataBytes: 320 * mebibyte, metadataBytes: 2 * mebibyte };
    await createThinPool({
      control: testPool.control,
      poolDir,
      plan: { pool, storage: { kind: "loopback", ...files } },
    });
    const driver = testPool.connect();
    await driver.open();
    const device = (serial: number) => ({
      deviceId: serial as DeviceId,
      deviceName: deviceName(pool, serial),
      sizeBytes: 256 * mebibyte,
    });
    await driver.create(device(1));
    await driver.create(device(2));
    await driver.activate(device(2));
    // Each device takes a block of metadata and no data; the rest is not enough for the next writes.
    await using control = controls.libdevmapper();
    const ballast: DeviceId[] = [];
    for (let free = 100; free > 2; free = metadataFree(await driver.poolUsage())) {
      ballast.push((1000 + ballast.length) as DeviceId);
      await control.message(poolDeviceName(pool), { kind: "create_thin", deviceId: ballast.at(-1) ?? (0 as DeviceId) });
      // Commits first: blocks that the last change freed are usable only after a commit.
      await control.status(poolDeviceName(pool), { flush: true });
    }
    expect(() => scatter(driver.devicePath(device(2).deviceName), 256 * mebibyte)).toThrow("EIO");
    expect(await control.status(poolDeviceName(pool))).toMatchObject({ mode: "ro" });
    await rejects(driver.flush(device(2)), "resource_exhausted", device(2).deviceName);
    await rejects(driver.create(device(3)), "resource_exhausted", "metadata of pool");
    await rejects(driver.snapshot(device(1), device(3)), "resource_exhausted", "metadata of pool");
    for (const deviceId of ballast) await driver.delete({ ...device(99), deviceId });
    await driver.delete(device(2));
    expect(await driver.poolUsage()).toMatchObject({ state: "rw" });
    await driver.create(device(3));
    expect(await driver.list([device(1), device(2), device(3)])).toHaveLength(2);
    await driver.close();
  });
});

const metadataFree = ({ metadata }: PoolUsage): number =>
  metadata === undefined ? 0 : (metadata.totalBytes - metadata.usedBytes) / metadataBlockBytes;

/**
 * Writes a block every 64 KiB: much metadata for little data. Flushes every 64 blocks, so that the pool commits while a
 * caller waits for its answer. Throws EIO when that fails.
 */
function scatter(path: string, sizeBytes: number): void {
  const block = Buffer.alloc(4096, 1);
  const fd = openSync(path, "r+");
  try {
    for (let written = 0; written < sizeBytes / 65536; written += 1) {
      writeSync(fd, block, 0, block.length, written * 65536);
      if (written % 64 === 63) fsyncSync(fd);
    }
  } finally {
    closeSync(fd);
  }
}
