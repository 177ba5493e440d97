// Tests what the reflink driver takes down when something fails, and what it leaves alone.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fsTypes } from "../../src/domain/devices.ts";
import { Activations } from "../../src/drivers/reflink/activations.ts";
import { Freezer } from "../../src/drivers/reflink/freezer.ts";
import { findLoops } from "../../src/system/block/attached-loops.ts";
import { mountDetached } from "../../src/system/mount/detached.ts";
import { makeFileSystem, mountOptions } from "../../src/system/mount/filesystems.ts";
import { isMountPoint } from "../../src/system/mount/mountinfo.ts";
import { freeze, mountAt, thaw, unmount } from "../../src/system/mount/mounts.ts";
import { bringToRest, wake } from "../../src/system/mount/rest.ts";
import { rejects } from "../conformance/driver-fixture.ts";
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

async function opened() {
  const driver = testPool.connect();
  await driver.open();
  return driver;
}

/** Runs `body` while an ext4 on a new device is mounted on a directory. */
async function whileMounted(body: (dir: string, driver: Awaited<ReturnType<typeof opened>>) => Promise<void>) {
  const driver = await opened();
  await driver.create(device(1));
  await driver.activate(device(1));
  const devicePath = driver.devicePath(device(1).deviceName);
  await makeFileSystem({ devicePath, fsType: "ext4", fresh: true });
  const dir = join(testPool.dir, "mnt");
  await mkdir(dir);
  await mountAt(devicePath, dir, "ext4");
  try {
    await body(dir, driver);
  } finally {
    await thaw(dir);
    await unmount(dir);
    await driver.close();
  }
}

test("a device whose file system was frozen, and could not be synced then, is thawed again", async () => {
  await whileMounted(async (dir) => {
    const { devicesDir } = testPool.options;
    const activations = new Activations(testPool.pool, files, devicesDir);
    await activations.reconcile();
    const failing = () => Promise.reject(new Error("EIO: the disk says no"));
    const quiet = new Freezer(testPool.pool, activations, devicesDir, failing);
    await expect(quiet.hold(device(1).deviceName)).rejects.toThrow("the disk says no");
    expect(existsSync(join(devicesDir, `.frozen-${device(1).deviceName}`))).toBe(false);
    // Only a file system that is not frozen can be frozen.
    expect(await freeze(dir)).toBe(true);
  });
});

test("a mounted device is frozen while it is held; the next process thaws what one that died has left frozen", async () => {
  await whileMounted(async (dir) => {
    const { devicesDir } = testPool.options;
    const activations = new Activations(testPool.pool, files, devicesDir);
    await activations.reconcile();
    const freezer = new Freezer(testPool.pool, activations, devicesDir);
    {
      await using _held = await freezer.hold(device(1).deviceName);
      // Only one that is not frozen can be frozen.
      expect(await freeze(dir)).toBe(false);
    }
    expect(await freeze(dir)).toBe(true);
    await thaw(dir);
    await freezer.hold(device(1).deviceName);
    expect(await freeze(dir)).toBe(false);
    await opened();
    expect(await freeze(dir)).toBe(true);
  });
});

test("what a process that died has left frozen, and was unmounted then, does not keep its device busy", async () => {
  const driver = await opened();
  await driver.create(device(1));
  await driver.activate(device(1));
  const source = driver.devicePath(device(1).deviceName);
  await makeFileSystem({ devicePath: source, fsType: "ext4", fresh: true });
  const dir = join(testPool.dir, "mnt");
  await mkdir(dir);
  await mountAt(source, dir, "ext4");
  const activations = new Activations(testPool.pool, files, testPool.options.devicesDir);
  await activations.reconcile();
  await new Freezer(testPool.pool, activations, testPool.options.devicesDir).hold(device(1).deviceName);
  await unmount(dir);
  await rejects(driver.deactivate(device(1)), "failed_precondition", device(1).deviceName);
  const next = await opened();
  await next.deactivate(device(1));
  await next.close();
});

test("what another program has frozen is flushed and snapshotted, and stays frozen, also for the next process", async () => {
  await whileMounted(async (dir, driver) => {
    await writeFile(join(dir, "file"), "content");
    expect(await freeze(dir)).toBe(true);
    await driver.flush(device(1));
    await driver.snapshot(device(1), device(2));
    await opened();
    expect(await freeze(dir)).toBe(false);
  });
});

test.each([...fsTypes])(
  "an %s mounted out of reach is checkpointed only at rest, and never flushed",
  async (fsType) => {
    const driver = await opened();
    const [origin, copy] = [1, 2].map((serial) => ({ ...device(serial), sizeBytes: 320 * mebibyte }));
    if (origin === undefined || copy === undefined) throw new Error("there are two");
    await driver.create(origin);
    await driver.activate(origin);
    const source = driver.devicePath(origin.deviceName);
    await makeFileSystem({ devicePath: source, fsType, fresh: true });
    {
      const options = mountOptions(fsType, false);
      using mount = mountDetached({ source, fsType, options, readOnly: false });
      for (const content of ["first", "second"]) {
        await writeFile(`/proc/self/fd/${mount.fd}/file`, content);
        await rejects(driver.flush(origin), "failed_precondition", "cannot be frozen from here");
        await rejects(driver.checkpoint(origin, copy), "failed_precondition", "'mount -o remount,ro'");
        bringToRest(mount.fd, "it");
        await driver.checkpoint(origin, copy);
        wake(mount.fd, "it");
      }
    }
    await driver.activate(copy);
    {
      const given = { source: driver.devicePath(copy.deviceName), fsType, options: mountOptions(fsType, true) };
      using mount = mountDetached({ ...given, readOnly: true });
      expect(await readFile(`/proc/self/fd/${mount.fd}/file`, "utf8")).toBe("second");
    }
    await driver.close();
  },
);

test("a pool that cannot be mounted leaves no loop device", async () => {
  await (await opened()).close();
  const image = join(testPool.options.poolDir, "pool.img");
  await using handle = await open(image, "r+");
  await handle.write(Buffer.alloc(65_536), 0, 65_536, 0);
  await expect(opened()).rejects.toThrow("mount");
  expect(await findLoops(image)).toEqual([]);
});

test("a pool that is mounted, and cannot be used then, is taken off the host again", async () => {
  await (await opened()).close();
  await rm(testPool.options.devicesDir, { recursive: true, force: true });
  await mkdir(join(testPool.options.devicesDir, ".."), { recursive: true });
  await writeFile(testPool.options.devicesDir, "a file, where a directory belongs");
  await expect(opened()).rejects.toThrow("EEXIST");
  await rm(testPool.options.devicesDir);
  expect(await isMountPoint(files)).toBe(false);
  expect(await findLoops(join(testPool.options.poolDir, "pool.img"))).toEqual([]);
});

test("the record of a thin-pool that is half-made is not taken for one of its own", async () => {
  await mkdir(testPool.options.poolDir, { recursive: true });
  const record = join(testPool.options.poolDir, ".new-thin-pool.json");
  await writeFile(record, "{}");
  const leftovers = [".new-pool.img", ".new-probe-abc123"].map((name) => join(testPool.options.poolDir, name));
  for (const path of leftovers) await writeFile(path, "");
  await opened();
  expect([record, ...leftovers].map((path) => existsSync(path))).toEqual([true, false, false]);
});
