import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, readlink, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createReflinkDriver } from "../../src/drivers/reflink/driver.ts";
import { findLoops, loopAt } from "../../src/system/block/attached-loops.ts";
import { attachLoop, detachLoop } from "../../src/system/block/loop.ts";
import { mountInfo } from "../../src/system/mount/mountinfo.ts";
import { mountAt, unmount } from "../../src/system/mount/mounts.ts";
import { letGoOfOthers } from "../support/namespaces.ts";
import { until } from "../support/until.ts";
import { mebibyte, poolInFile, type ReflinkTestPool } from "./reflink-test-pools.ts";

setDefaultTimeout(60_000);

describe("the reflink driver and what it finds on the host", () => {
  let testPool: ReflinkTestPool;
  let links: string;
  let files: string;

  beforeEach(async () => {
    testPool = await poolInFile();
    links = testPool.options.devicesDir;
    files = join(testPool.options.poolDir, "devices");
  });

  afterEach(() => testPool[Symbol.asyncDispose]());

  const device = (serial: number) => testPool.device(serial);

  async function opened() {
    const driver = testPool.connect();
    await driver.open();
    return driver;
  }

  async function foreignLoop() {
    const file = join(testPool.dir, "foreign.img");
    await writeFile(file, "foreign");
    await truncate(file, mebibyte);
    return { file, loop: await attachLoop(file) };
  }

  test("what a process left half-made is removed, what is not the pool's is left alone", async () => {
    const before = await opened();
    await before.create(device(1));
    await writeFile(join(files, ".new-test-snap-2.img"), "half");
    await writeFile(join(files, "notes.txt"), "the operator's");
    await writeFile(join(testPool.options.poolDir, ".new-pool.img"), "half");
    await symlink("/dev/null", join(links, ".new-test-snap-1"));
    const driver = await opened();
    expect(await driver.list()).toEqual([{ deviceName: device(1).deviceName, inPool: true, active: false }]);
    expect((await readdir(files)).toSorted()).toEqual(["notes.txt", "test-snap-1.img"]);
    expect(await readdir(links)).toEqual([]);
    expect(existsSync(join(testPool.options.poolDir, ".new-pool.img"))).toBe(false);
  });

  test("a stable path that leads to a foreign loop device is removed when the pool is opened", async () => {
    const foreign = await foreignLoop();
    await using _loop = foreign.loop;
    await mkdir(links, { recursive: true });
    await symlink(foreign.loop.path, join(links, device(1).deviceName));
    await opened();
    expect(await readdir(links)).toEqual([]);
    expect((await loopAt(foreign.loop.path))?.backingFile).toBe(foreign.file);
  });

  test("a stable path never leads to a loop device that was reused for another file while the pool was open", async () => {
    const driver = await opened();
    await driver.create(device(1));
    await driver.activate(device(1));
    const path = driver.devicePath(device(1).deviceName);
    const number = await readlink(path);
    await detachLoop(number, join(files, "test-snap-1.img"));
    const foreign = await foreignLoop();
    await using _loop = foreign.loop;
    await driver.activate(device(1));
    expect((await loopAt(await readlink(path)))?.backingFile).toBe(join(files, "test-snap-1.img"));
    await driver.deactivate(device(1));
    expect((await loopAt(foreign.loop.path))?.backingFile).toBe(foreign.file);
    expect((await readFile(foreign.loop.path)).subarray(0, 7).toString()).toBe("foreign");
  });

  test("a path that was lost is there again after the next opening", async () => {
    const driver = await opened();
    await driver.create(device(1));
    await driver.activate(device(1));
    await rm(links, { recursive: true });
    await opened();
    const loop = await readlink(driver.devicePath(device(1).deviceName));
    expect((await loopAt(loop))?.backingFile).toBe(join(files, "test-snap-1.img"));
  });

  test("a device file that is attached twice, or was deleted under its loop device, is put right at opening", async () => {
    const driver = await opened();
    await driver.create(device(1));
    await driver.create(device(2));
    await driver.activate(device(1));
    await attachLoop(join(files, "test-snap-1.img"), { blockSizeBytes: 4096 });
    await driver.activate(device(2));
    await rm(join(files, "test-snap-2.img"));
    const next = await opened();
    expect(await findLoops(join(files, "test-snap-1.img"))).toHaveLength(1);
    expect(await findLoops(join(files, "test-snap-2.img"))).toHaveLength(0);
    expect(await next.list()).toEqual([{ deviceName: device(1).deviceName, inPool: true, active: true }]);
  });

  test("a pool file is attached and mounted once, however often it is opened", async () => {
    await opened();
    await opened();
    await opened();
    expect(await findLoops(join(testPool.options.poolDir, "pool.img"))).toHaveLength(1);
    expect((await mountInfo()).filter((entry) => entry.mountPoint === files)).toHaveLength(1);
  });

  test("a copy of the pool's mount in another namespace does not keep its loop device for ever", async () => {
    const image = join(testPool.options.poolDir, "pool.img");
    const driver = await opened();
    const script = `${letGoOfOthers(testPool.options.poolDir)} echo; exec sleep 60`;
    const copy = Bun.spawn(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], { stdout: "pipe" });
    try {
      await copy.stdout.getReader().read();
      expect(await driver.close()).toEqual({ stillInUse: [] });
      expect(await findLoops(image)).toHaveLength(1);
      // Meanwhile the pool can be closed and opened again, on the same loop device.
      const again = await opened();
      expect(await findLoops(image)).toHaveLength(1);
      expect(await again.close()).toEqual({ stillInUse: [] });
    } finally {
      copy.kill("SIGKILL");
      await copy.exited;
    }
    await until(
      "the loop device is detached",
      () => findLoops(image),
      ({ length }) => length === 0,
    );
  });

  test("a pool file that is attached twice is not mounted", async () => {
    await opened();
    await testPool.reboot();
    const image = join(testPool.options.poolDir, "pool.img");
    await using _one = await attachLoop(image);
    await using _other = await attachLoop(image);
    await expect(opened()).rejects.toMatchObject({ code: "failed_precondition" });
  });

  test("what is mounted in the place of the pool's file system is named", async () => {
    await opened();
    await testPool.reboot();
    await mountAt("nothing", files, "tmpfs");
    try {
      await expect(opened()).rejects.toMatchObject({ code: "failed_precondition" });
    } finally {
      await unmount(files);
    }
  });

  test("a pool keeps the size that it was made with, and opening it with another says so", async () => {
    await (await opened()).close();
    const notices: string[] = [];
    const onNotice = (sentence: string) => notices.push(sentence);
    const driver = createReflinkDriver({ ...testPool.options, sizeBytes: 1024 * mebibyte, onNotice });
    await driver.open();
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain(String(512 * mebibyte));
    expect((await stat(join(testPool.options.poolDir, "pool.img"))).size).toBe(512 * mebibyte);
  });

  test("a pool that is too small to be one is refused, and nothing is made", async () => {
    const driver = createReflinkDriver({ ...testPool.options, sizeBytes: 100 * mebibyte });
    await expect(driver.open()).rejects.toMatchObject({ code: "invalid_argument" });
    expect(await readdir(testPool.options.poolDir)).toEqual([]);
  });

  test("with too little room in the pool, or on the host under it, nothing new is made", async () => {
    await (await opened()).create(device(1));
    for (const limit of ["minFreeBytes", "minHostFreeBytes"] as const) {
      const driver = createReflinkDriver({ ...testPool.options, [limit]: 2 ** 50 });
      await driver.open();
      await expect(driver.create(device(2))).rejects.toMatchObject({ code: "resource_exhausted" });
      await expect(driver.snapshot(device(1), device(2))).rejects.toMatchObject({ code: "resource_exhausted" });
      expect(await readdir(files)).toEqual(["test-snap-1.img"]);
    }
  });

  test("a pool is not made on a host with too little room", async () => {
    const driver = createReflinkDriver({ ...testPool.options, minHostFreeBytes: 2 ** 50 });
    await expect(driver.open()).rejects.toMatchObject({ code: "resource_exhausted" });
    expect(await readdir(testPool.options.poolDir)).toEqual([]);
  });

  test("when the host under the pool's file is full, flush says so, and after making room there all goes on", async () => {
    const small = join(testPool.dir, "small");
    await mkdir(small);
    await mountAt("none", small, "tmpfs", ["size=200m"]);
    const ballast = join(small, "ballast");
    await writeFile(ballast, Buffer.alloc(40 * mebibyte, 1));
    const driver = createReflinkDriver({
      ...testPool.options,
      poolDir: join(small, "pool"),
      minHostFreeBytes: mebibyte,
    });
    try {
      await driver.open();
      const kept = { ...device(1), sizeBytes: 8 * mebibyte };
      await driver.create(kept);
      await driver.activate(kept);
      await writeFile(driver.devicePath(kept.deviceName), "kept");
      await driver.flush(kept);

      const large = { ...device(2), sizeBytes: 256 * mebibyte };
      await driver.create(large);
      await driver.activate(large);
      await writeFile(driver.devicePath(large.deviceName), Buffer.alloc(120 * mebibyte, 2));
      await expect(driver.flush(large)).rejects.toMatchObject({ code: "resource_exhausted" });

      await rm(ballast);
      await driver.delete(large);
      await driver.create(device(3));
      await driver.flush(kept);
      expect((await readFile(driver.devicePath(kept.deviceName))).subarray(0, 4).toString()).toBe("kept");
      expect(await driver.close()).toEqual({ stillInUse: [] });
    } finally {
      await unmount(small);
    }
  });

  test("killed at any moment, a process leaves a pool that opens, lists and empties", async () => {
    const churn = join(import.meta.dir, "churn.ts");
    for (let round = 0; round < 6; round++) {
      const first = String(round * 10_000);
      const child = Bun.spawn([process.execPath, churn, testPool.options.poolDir, links, first]);
      const delayMs = 150 + Math.floor(Math.random() * 700);
      await Bun.sleep(delayMs);
      child.kill("SIGKILL");
      await child.exited;
      const driver = await opened();
      for (const deviceName of (await driver.list()).flatMap((found) => found.deviceName ?? [])) {
        await driver.activate({ ...device(0), deviceName }).catch((error: unknown) => {
          throw new Error(`killed after ${delayMs} ms, ${deviceName} cannot be activated`, { cause: error });
        });
        await driver.delete({ ...device(0), deviceName });
      }
      expect(await readdir(files)).toEqual([]);
      expect(await readdir(links)).toEqual([]);
      expect(await driver.close()).toEqual({ stillInUse: [] });
      expect(await testPool.leftOnHost()).toEqual([]);
    }
  });
});
