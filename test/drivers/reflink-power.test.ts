// Room: test. Owns what a reflink pool keeps when the power is cut: XFS is shut down, and forgets what its log has not on disk.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { open, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { findLoops } from "../../src/system/block/attached-loops.ts";
import { ioctlBuffer } from "../../src/system/ffi/ioctl.ts";
import { mebibyte, poolInFile, type ReflinkTestPool } from "./reflink-test-pools.ts";

setDefaultTimeout(60_000);

let testPool: ReflinkTestPool;
let files: string;

beforeEach(async () => {
  testPool = await poolInFile();
  files = join(testPool.options.poolDir, "devices");
});

afterEach(() => testPool[Symbol.asyncDispose]());

const device = (serial: number) => testPool.device(serial);

const content = Buffer.alloc(mebibyte, "what was written before ");

async function opened() {
  const driver = testPool.connect();
  await driver.open();
  return driver;
}

/** XFS_IOC_GOINGDOWN, and its flag by which the log is not written first (fs/xfs/libxfs/xfs_fs.h). */
const goingDown = { request: 0x8004587d, noLogFlush: 2 } as const;

/** Cuts the pool's power: what XFS has only in memory is gone. Returns a driver on what the disk has. */
async function afterPowerCut() {
  {
    await using pool = await open(files, "r");
    const flag = Buffer.alloc(4);
    flag.writeUInt32LE(goingDown.noLogFlush);
    ioctlBuffer(pool.fd, goingDown.request, flag, "XFS_IOC_GOINGDOWN", files);
  }
  await testPool.reboot();
  return await opened();
}

const imageOf = (serial: number) => join(files, `${device(serial).deviceName}.img`);
const beginningOf = async (serial: number) => (await readFile(imageOf(serial))).subarray(0, content.length);
const namesIn = async (driver: Awaited<ReturnType<typeof opened>>) =>
  (await driver.list()).map((found) => found.deviceName ?? "").sort();

test("what a pool was not told to keep is gone after a cut, by which the other tests can tell", async () => {
  const driver = await opened();
  await driver.create(device(1));
  await writeFile(imageOf(2), content);
  const found = await afterPowerCut();
  expect(await namesIn(found)).toEqual([device(1).deviceName]);
  await found.close();
});

test("a device that was created, and one that was copied, are there and whole after a cut", async () => {
  const driver = await opened();
  await driver.create(device(1));
  await writeFile(imageOf(1), content, { flag: "r+", flush: true });
  await driver.snapshot(device(1), { ...device(2), sizeBytes: 32 * mebibyte });
  const found = await afterPowerCut();
  expect(await namesIn(found)).toEqual([device(1).deviceName, device(2).deviceName]);
  expect((await beginningOf(2)).equals(content)).toBe(true);
  expect((await readFile(imageOf(2))).length).toBe(32 * mebibyte);
  await found.close();
});

for (const kind of ["flush", "snapshot"] as const) {
  test(`what was written to an active device before a ${kind} is there after a cut`, async () => {
    const driver = await opened();
    await driver.create(device(1));
    await driver.activate(device(1));
    // Into the loop device's cache, and no further.
    await writeFile(driver.devicePath(device(1).deviceName), content, { flag: "r+" });
    if (kind === "flush") await driver.flush(device(1));
    else await driver.snapshot(device(1), device(2));
    const found = await afterPowerCut();
    expect((await beginningOf(kind === "flush" ? 1 : 2)).equals(content)).toBe(true);
    await found.close();
  });
}

test("a device that is deactivated behind its flush keeps what was written in between, too", async () => {
  const driver = await opened();
  await driver.create(device(1));
  await driver.activate(device(1));
  await driver.flush(device(1));
  await writeFile(driver.devicePath(device(1).deviceName), content, { flag: "r+" });
  await driver.deactivate(device(1));
  expect((await beginningOf(1)).equals(content)).toBe(true);
  await driver.close();
});

/** How many flushes the pool's disk has been told so far (kernel documentation, "Block layer statistics", field 16). */
async function flushesOfPool(): Promise<number> {
  const [disk] = await findLoops(join(testPool.options.poolDir, "pool.img"));
  const fields = (await readFile(`/sys/block/${basename(disk?.path ?? "")}/stat`, "utf8")).trim().split(/\s+/);
  return Number(fields[15]);
}

test("a flush of a device at rest and its deactivation cost one flush of the pool's disk", async () => {
  const driver = await opened();
  await driver.create(device(1));
  const counts: number[] = [];
  // XFS writes its log by itself from time to time: the fewest count.
  for (let turn = 0; turn < 3; turn += 1) {
    await driver.activate(device(1));
    await driver.flush(device(1));
    const before = await flushesOfPool();
    await driver.flush(device(1));
    await driver.deactivate(device(1));
    counts.push((await flushesOfPool()) - before);
  }
  expect(Math.min(...counts)).toBe(1);
  await driver.close();
});

test("a device that was deleted does not come back with a cut", async () => {
  const driver = await opened();
  await driver.create(device(1));
  await driver.delete(device(1));
  const found = await afterPowerCut();
  expect(await namesIn(found)).toEqual([]);
  await found.close();
});
