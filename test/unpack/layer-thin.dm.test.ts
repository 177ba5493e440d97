// A layer that fills the thin-pool under its device fails as resource_exhausted, whenever that is noticed.
import { expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { type DeviceId, deviceName } from "../../src/domain/identifiers.ts";
import { createThinPool } from "../../src/drivers/devicemapper/pool/create.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/pool/definition.ts";
import { spaceSourcesOf } from "../../src/drivers/open.ts";
import type { Driver } from "../../src/drivers/port.ts";
import { readSuperblockSync } from "../../src/system/block/thin-metadata.ts";
import { makeFileSystem } from "../../src/system/mount/filesystems.ts";
import { applyLayer } from "../../src/unpack/layer.ts";
import { rejects } from "../conformance/driver-fixture.ts";
import { controls, mebibyte, thinPool } from "../drivers/thin-test-pool.ts";
import { tar } from "../support/tar.ts";
import { sparse } from "../support/tar-entries.ts";
import { requestFor } from "./requests.ts";

setDefaultTimeout(120_000);
const blockBytes = 65_536;

/** A pool with a formatted device, larger than the pool. */
async function openPool(dataBytes: number) {
  const testPool = await thinPool("libdevmapper");
  const { pool, poolDir } = testPool.options;
  const storage = { kind: "loopback", directory: poolDir, dataBytes, metadataBytes: 2 * mebibyte } as const;
  await createThinPool({ control: testPool.control, poolDir, plan: { pool, storage } });
  const driver: Driver = testPool.connect();
  await driver.open();
  const device = { deviceId: 1 as DeviceId, deviceName: deviceName(pool, 1), sizeBytes: 512 * mebibyte };
  await driver.create(device);
  await driver.activate(device);
  const devicePath = driver.devicePath(device.deviceName);
  await makeFileSystem({ devicePath, fsType: "ext4", fresh: true });
  const sources = await spaceSourcesOf("devmapper", poolDir);
  expect(sources.map(({ owner }) => owner)).toEqual(["pool", "host"]);
  const [source] = sources.map((found) => found.source);
  if (source?.kind !== "thin-pool") throw new Error("the pool does not say how full it is");

  /**
   * Applies a layer that takes so many blocks of the pool, and fails. With little in each block the page cache takes all
   * of it, and the pool runs full when that is written out.
   */
  async function expectFull(blocks: number, minFreeBytes: number, saying: string): Promise<void> {
    const content = Buffer.alloc(4096, "content");
    const extents = Array.from({ length: blocks }, (_, index) => ({ offsetBytes: index * blockBytes, content }));
    const request = await requestFor(poolDir, devicePath, tar([sparse("scattered", blocks * blockBytes, extents)]));
    const spaceGuards = source === undefined ? [] : [{ source, owner: "pool" as const, minFreeBytes }];
    await rejects(
      applyLayer({ ...request, spaceGuards }, () => undefined),
      "resource_exhausted",
      saying,
    );
    await rm(request.blob.path);
  }

  return {
    driver,
    device,
    poolDevice: poolDeviceName(pool),
    freeMetadata: () => readSuperblockSync(source.metadataDevice).metadata.free,
    expectFull,
    async [Symbol.asyncDispose]() {
      await driver.close();
      await testPool[Symbol.asyncDispose]();
    },
  };
}

test("a layer fails for want of room before anything is written, or when the page cache had taken all of it", async () => {
  await using pool = await openPool(24 * mebibyte);
  const { driver, device } = pool;
  const before = await driver.usedBytes(device);
  await pool.expectFull(10, 32 * mebibyte, "the data of the pool has");
  expect(await driver.usedBytes(device)).toBe(before);
  await pool.expectFull(400, 1, "the data of the pool has");
  expect((await driver.poolUsage()).state).toBe("out_of_data_space");
  // Nor is it committed: a commit flushes first.
  await rejects(driver.flush(device), "resource_exhausted", device.deviceName);
  await driver.delete(device);
  expect(await driver.poolUsage()).toMatchObject({ usedBytes: 0, state: "rw" });
});

test("a layer fails for want of room also when it is the pool's metadata that runs out", async () => {
  await using pool = await openPool(224 * mebibyte);
  const { driver, device, poolDevice } = pool;
  await using control = controls.libdevmapper();
  const ballast: DeviceId[] = [];
  // Each takes a block of metadata and no data: the guard is content with what is left, and the layer needs more.
  while (pool.freeMetadata() > 11) {
    const deviceId = (1000 + ballast.length) as DeviceId;
    await control.message(poolDevice, { kind: "create_thin", deviceId });
    ballast.push(deviceId);
  }
  await pool.expectFull(3300, 1, "the metadata of the pool has");
  expect((await driver.poolUsage()).state).toBe("ro");
  await rejects(driver.flush(device), "resource_exhausted", device.deviceName);
  await driver.delete(device);
  for (const deviceId of ballast) await control.message(poolDevice, { kind: "delete", deviceId });
  expect(await driver.list()).toEqual([]);
  const { state, usedBytes } = await driver.poolUsage();
  expect(state).toBe("rw");
  // The kernel does not give back the few blocks that it had taken when there was no room to write that down.
  expect(usedBytes).toBeLessThan(mebibyte);
});
