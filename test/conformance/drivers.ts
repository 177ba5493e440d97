// Owns what every driver must do: one suite that any implementation of the port runs, over real devices and mounts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, existsSync, fsyncSync, openSync, writeSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DeviceRef, type FsType, fsTypes } from "../../src/domain/devices.ts";
import type { ErrorCode } from "../../src/domain/errors.ts";
import { type DeviceId, deviceName, type PoolName } from "../../src/domain/identifiers.ts";
import type { Driver } from "../../src/drivers/port.ts";
import { runCommand } from "../../src/system/commands.ts";
import { mountDetached } from "../../src/system/detached.ts";
import { growFileSystem, makeFileSystem, mountOptions } from "../../src/system/filesystems.ts";
import { mountAt, unmount } from "../../src/system/mounts.ts";
import { spaceOf } from "../../src/system/space.ts";

const mebibyte = 2 ** 20;

/** A pool to run the suite on. Disposing of it removes the pool and whatever it stood on. */
export interface DriverGround extends AsyncDisposable {
  readonly pool: PoolName;
  /** A driver of this pool, as a process that starts now would make it. Not opened. */
  connect(): Driver;
  /** Whatever a closed pool still has on this host besides its contents: loop devices, mounts, device nodes. */
  leftOnHost(): Promise<readonly string[]>;
  /** Takes from this host what a reboot takes, with no driver's help: all that `leftOnHost` names. */
  reboot(): Promise<void>;
}

/** Runs the suite on a pool of 512 to 640 MiB that `makeGround` makes. */
export function describeDriver(title: string, makeGround: () => Promise<DriverGround>): void {
  describe(title, () => {
    setDefaultTimeout(60_000);
    let ground: DriverGround;
    let driver: Driver;
    let scratch: string;
    let serial = 0;

    beforeAll(async () => {
      scratch = await mkdtemp(join(tmpdir(), "snapmill-drivers-"));
      ground = await makeGround();
      driver = ground.connect();
      await driver.open();
    });

    afterAll(async () => {
      await driver.close();
      await ground[Symbol.asyncDispose]();
      await rm(scratch, { recursive: true, force: true });
    });

    const nextDevice = (sizeBytes = 64 * mebibyte): DeviceRef => {
      serial += 1;
      return { deviceId: serial as DeviceId, deviceName: deviceName(ground.pool, serial), sizeBytes };
    };

    const pathOf = (device: DeviceRef) => driver.devicePath(device.deviceName);

    /** A new, active device with an empty file system. */
    async function formatted(sizeBytes = 64 * mebibyte, fsType: FsType = "ext4"): Promise<DeviceRef> {
      const device = nextDevice(sizeBytes);
      await driver.create(device);
      await driver.activate(device);
      await makeFileSystem({ devicePath: pathOf(device), fsType, fresh: true });
      return device;
    }

    async function snapshotOf(origin: DeviceRef, sizeBytes = origin.sizeBytes): Promise<DeviceRef> {
      const device = nextDevice(sizeBytes);
      await driver.snapshot(origin, device);
      await driver.activate(device);
      return device;
    }

    async function onMounted<T>(device: DeviceRef, action: (root: string) => Promise<T>, fsType: FsType = "ext4") {
      const source = pathOf(device);
      using mount = mountDetached({ source, fsType, options: mountOptions(fsType, false), readOnly: false });
      return await action(`/proc/self/fd/${mount.fd}`);
    }

    const put = (device: DeviceRef, name: string, text: string, fsType: FsType = "ext4") =>
      onMounted(device, (root) => writeFile(join(root, name), text), fsType);

    const get = (device: DeviceRef, name: string, fsType: FsType = "ext4") =>
      onMounted(device, (root) => readFile(join(root, name), "utf8").catch(() => "absent"), fsType);

    /** Mounted at a directory, as a container runtime has it. */
    async function whileMountedAt(device: DeviceRef, action: (dir: string) => Promise<void>): Promise<void> {
      const dir = join(scratch, device.deviceName);
      await mkdir(dir);
      await mountAt(pathOf(device), dir, "ext4");
      await using _mount = { [Symbol.asyncDispose]: () => unmount(dir) };
      await action(dir);
    }

    async function remove(...devices: readonly DeviceRef[]): Promise<void> {
      for (const device of devices) await driver.delete(device);
    }

    const found = async (device: DeviceRef) =>
      (await driver.list()).find((candidate) => candidate.deviceName === device.deviceName);

    test("a new device reads as zeroes, has its size, and stays sparse", async () => {
      const device = nextDevice(3 * mebibyte);
      await driver.create(device);
      await driver.activate(device);
      const content = await readDevice(pathOf(device), 4 * mebibyte);
      expect(content.length).toBe(3 * mebibyte);
      expect(isZeroes(content)).toBe(true);
      expect(await driver.usedBytes(device)).toBeLessThan(mebibyte);
      await remove(device);
    });

    for (const fsType of fsTypes) {
      test(`what is written on ${fsType} shows in a later snapshot, and neither side sees the other's writes`, async () => {
        const origin = await formatted(320 * mebibyte, fsType);
        await put(origin, "shared", "from the origin", fsType);
        await driver.flush(origin);
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
        await driver.snapshot(origin, child);
        await writeFile(join(dir, "later"), "the origin can be written to again");
      });
      await driver.activate(child);
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
        await driver.snapshot(origin, child);
      });
      await driver.activate(child);
      expect(await get(child, "written")).toBe("x".repeat(100_000));
      await runCommand("e2fsck", ["-f", "-n", pathOf(child)]);
      await remove(child, origin);
    });

    test("a suspended device holds writers back until it is resumed", async () => {
      const device = await formatted();
      await whileMountedAt(device, async (dir) => {
        await driver.suspend(device);
        await driver.suspend(device);
        const writer = runCommand("touch", [join(dir, "waits")]);
        // Long enough for a process to start and write, many times over.
        const first = await Promise.race([writer.then(() => "written"), Bun.sleep(200).then(() => "waiting")]);
        await driver.flush(device);
        await driver.resume(device);
        await driver.resume(device);
        await writer;
        expect(first).toBe("waiting");
        expect((await stat(join(dir, "waits"))).size).toBe(0);
      });
      await remove(device);
    });

    test("flush makes a raw write part of a later snapshot", async () => {
      const device = nextDevice(mebibyte);
      await driver.create(device);
      await driver.activate(device);
      await writeFile(pathOf(device), "raw");
      await driver.flush(device);
      const child = await snapshotOf(device);
      expect((await readDevice(pathOf(child), 3)).toString()).toBe("raw");
      await remove(child, device);
    });

    test("a device that is merely active is not busy; mounted or open it is", async () => {
      const device = await formatted();
      expect(await driver.isBusy(device)).toBe(false);
      expect(await onMounted(device, () => driver.isBusy(device))).toBe(true);
      expect(await driver.isBusy(device)).toBe(false);
      {
        await using _opened = await open(pathOf(device), "r");
        expect(await driver.isBusy(device)).toBe(true);
      }
      expect(await driver.isBusy(device)).toBe(false);
      await driver.deactivate(device);
      expect(await driver.isBusy(device)).toBe(false);
      await remove(device);
    });

    test("deactivate and delete refuse a mounted device and leave it as it is", async () => {
      const device = await formatted();
      await whileMountedAt(device, async (dir) => {
        await rejects(driver.deactivate(device), "failed_precondition", device.deviceName);
        await rejects(driver.delete(device), "failed_precondition", device.deviceName);
        await rejects(driver.create(device), "failed_precondition", device.deviceName);
        await writeFile(join(dir, "alive"), "yes", { flush: true });
        expect(await found(device)).toEqual({ deviceName: device.deviceName, inPool: true, active: true });
      });
      expect(await get(device, "alive")).toBe("yes");
      await remove(device);
    });

    test("deactivate refuses a device that is merely open, and it stays after the last close", async () => {
      const device = await formatted();
      await put(device, "kept", "kept");
      {
        await using _opened = await open(pathOf(device), "r");
        await rejects(driver.deactivate(device), "failed_precondition", device.deviceName);
      }
      expect(await get(device, "kept")).toBe("kept");
      await driver.deactivate(device);
      expect(existsSync(pathOf(device))).toBe(false);
      await remove(device);
    });

    test("every verb is idempotent towards its goal", async () => {
      const device = await formatted();
      await put(device, "file", "content");
      await driver.activate(device);
      expect(await get(device, "file")).toBe("content");
      await driver.flush(device);
      await driver.flush(device);
      await driver.deactivate(device);
      await driver.deactivate(device);
      await driver.flush(device);
      await driver.activate(device);
      expect(await get(device, "file")).toBe("content");

      const child = await snapshotOf(device);
      await put(child, "file", "changed");
      await driver.snapshot(device, child);
      await driver.activate(child);
      expect(await get(child, "file")).toBe("content");

      await driver.create(child);
      await driver.activate(child);
      expect(isZeroes(await readDevice(pathOf(child), child.sizeBytes))).toBe(true);
      await remove(child, child, device, device);
      expect(await found(device)).toBeUndefined();
    });

    test("a device that does not exist is not_found, and deactivating or deleting it succeeds", async () => {
      const missing = nextDevice();
      await rejects(driver.activate(missing), "not_found", missing.deviceName);
      await rejects(driver.flush(missing), "not_found", missing.deviceName);
      await rejects(driver.usedBytes(missing), "not_found", missing.deviceName);
      await rejects(driver.snapshot(missing, nextDevice()), "not_found", missing.deviceName);
      await driver.deactivate(missing);
      await driver.delete(missing);
    });

    test("deleting an origin leaves its snapshot whole", async () => {
      const origin = await formatted();
      const text = "content ".repeat(500_000);
      await put(origin, "big", text);
      await driver.flush(origin);
      const child = await snapshotOf(origin);
      await remove(origin);
      expect((await get(child, "big")) === text).toBe(true);
      await runCommand("e2fsck", ["-f", "-n", pathOf(child)]);
      await remove(child);
    });

    test("usage grows with what is written, and a snapshot shares its origin's blocks", async () => {
      const before = await driver.poolUsage();
      const origin = await formatted(128 * mebibyte);
      const emptyBytes = await driver.usedBytes(origin);
      await put(origin, "big", "x".repeat(40 * mebibyte));
      await driver.flush(origin);
      const usedBytes = await driver.usedBytes(origin);
      expect(usedBytes - emptyBytes).toBeGreaterThanOrEqual(40 * mebibyte);
      expect(usedBytes - emptyBytes).toBeLessThan(60 * mebibyte);

      const children = [await snapshotOf(origin), await snapshotOf(origin), await snapshotOf(origin)];
      for (const child of children) expect(await driver.usedBytes(child)).toBeGreaterThanOrEqual(40 * mebibyte);
      const after = await driver.poolUsage();
      expect(after.totalBytes).toBe(before.totalBytes);
      expect(after.usedBytes - before.usedBytes).toBeGreaterThanOrEqual(40 * mebibyte);
      expect(after.usedBytes - before.usedBytes).toBeLessThan(80 * mebibyte);
      await remove(...children, origin);
    });

    for (const fsType of fsTypes) {
      test(`a child may be larger than its origin, and its ${fsType} grows into the room`, async () => {
        const origin = await formatted(320 * mebibyte, fsType);
        await put(origin, "file", "content", fsType);
        await driver.flush(origin);
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
      await driver.create(origin);
      await rejects(driver.snapshot(origin, child), "invalid_argument", child.deviceName);
      expect(await found(child)).toBeUndefined();
      await remove(origin);
    });

    test("list shows what is in the pool and what is active", async () => {
      const idle = nextDevice(mebibyte);
      const active = nextDevice(mebibyte);
      await driver.create(idle);
      await driver.create(active);
      await driver.activate(active);
      expect(await found(idle)).toEqual({ deviceName: idle.deviceName, inPool: true, active: false });
      expect(await found(active)).toEqual({ deviceName: active.deviceName, inPool: true, active: true });
      await remove(idle, active);
      expect(await found(active)).toBeUndefined();
    });

    test("a pool that was closed has nothing on the host, and has its content when it is opened again", async () => {
      const device = await formatted();
      await put(device, "file", "content");
      await driver.flush(device);
      expect(await driver.close()).toEqual({ stillInUse: [] });
      expect(await driver.close()).toEqual({ stillInUse: [] });
      expect(await ground.leftOnHost()).toEqual([]);
      driver = ground.connect();
      await driver.open();
      await driver.open();
      expect(await found(device)).toEqual({ deviceName: device.deviceName, inPool: true, active: false });
      await driver.activate(device);
      expect(await get(device, "file")).toBe("content");
      await remove(device);
    });

    test("after a reboot the pool opens with its content, and the active device can be activated again", async () => {
      const device = await formatted();
      await put(device, "file", "content");
      await driver.flush(device);
      await ground.reboot();
      expect(await ground.leftOnHost()).toEqual([]);
      driver = ground.connect();
      await driver.open();
      expect(await found(device)).toEqual({ deviceName: device.deviceName, inPool: true, active: false });
      await driver.activate(device);
      expect(await get(device, "file")).toBe("content");
      await remove(device);
    });

    test("closing leaves a device that is in use and says so; the next opening takes it up again", async () => {
      const device = await formatted();
      await whileMountedAt(device, async (dir) => {
        const { stillInUse } = await driver.close();
        expect(stillInUse.join()).toContain(device.deviceName);
        await writeFile(join(dir, "meanwhile"), "works", { flush: true });
        driver = ground.connect();
        await driver.open();
        expect(await driver.isBusy(device)).toBe(true);
      });
      expect(await get(device, "meanwhile")).toBe("works");
      await remove(device);
    });

    test("the next process takes up the active devices of one that died, under the same paths", async () => {
      const device = await formatted();
      const path = pathOf(device);
      // All that a driver holds in its process is memory: to forget it is to die.
      driver = ground.connect();
      await driver.open();
      expect(await found(device)).toEqual({ deviceName: device.deviceName, inPool: true, active: true });
      expect(pathOf(device)).toBe(path);
      await put(device, "file", "content");
      await remove(device);
      expect(await found(device)).toBeUndefined();
    });

    test("the next process resumes what one that died left suspended", async () => {
      const device = await formatted();
      await whileMountedAt(device, async (dir) => {
        await driver.suspend(device);
        driver = ground.connect();
        await driver.open();
        await runCommand("touch", [join(dir, "written")], { timeoutMs: 10_000 });
        expect((await stat(join(dir, "written"))).size).toBe(0);
      });
      await remove(device);
    });

    test("in a full pool nothing is made, nothing is lost unsaid, and room made again is used again", async () => {
      const device = await formatted(1024 * mebibyte);
      const keeper = await formatted();
      await put(keeper, "kept", "kept");
      await driver.flush(keeper);
      const { failed } = await onMounted(device, (root) => fillUp(join(root, "big")));
      expect(failed).toBe(true);
      await rejects(driver.flush(device), "resource_exhausted", device.deviceName);
      await rejects(driver.create(nextDevice()), "resource_exhausted", "");
      await rejects(driver.snapshot(keeper, nextDevice()), "resource_exhausted", "");
      await remove(device);
      expect(await get(keeper, "kept")).toBe("kept");
      await runCommand("e2fsck", ["-f", "-n", pathOf(keeper)]);
      const child = await snapshotOf(keeper);
      expect(await get(child, "kept")).toBe("kept");
      await remove(child, keeper);
    });

    test("writes that were lost to a full pool are remembered when there is room again", async () => {
      const device = await formatted(1024 * mebibyte);
      const ballast = nextDevice(200 * mebibyte);
      await driver.create(ballast);
      await driver.activate(ballast);
      await runCommand("dd", ["if=/dev/zero", `of=${pathOf(ballast)}`, "bs=1M", "count=200", "conv=fsync"]);
      await onMounted(device, (root) => fillUp(join(root, "big")));
      await remove(ballast);
      await rejects(driver.flush(device), "resource_exhausted", device.deviceName);
      await remove(device);
    });

    test("a raw write that did not fit is told by flush", async () => {
      const device = nextDevice(1024 * mebibyte);
      await driver.create(device);
      await driver.activate(device);
      await runCommand("dd", ["if=/dev/zero", `of=${pathOf(device)}`, "bs=1M", "count=470"], { successCodes: [0, 1] });
      await rejects(driver.flush(device), "resource_exhausted", device.deviceName);
      await remove(device);
    });

    test("all devices gone, the pool is as empty as at first", async () => {
      expect(await driver.list()).toEqual([]);
      expect(await driver.close()).toEqual({ stillInUse: [] });
      expect(await ground.leftOnHost()).toEqual([]);
    });
  });
}

async function rejects(attempt: Promise<unknown>, code: ErrorCode, saying: string): Promise<void> {
  const outcome: unknown = await attempt.then(
    () => "succeeded",
    (error: unknown) => error,
  );
  expect(outcome).toMatchObject({ code });
  expect(String(outcome)).toContain(saying);
}

const isZeroes = (content: Buffer): boolean => content.equals(Buffer.alloc(content.length));

/** The first `lengthBytes` of a block device; fewer when it is shorter. */
async function readDevice(path: string, lengthBytes: number): Promise<Buffer> {
  await using handle = await open(path, "r");
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(lengthBytes), 0, lengthBytes, 0);
  return buffer.subarray(0, bytesRead);
}

async function sizeOfFileSystem(root: string): Promise<number> {
  return (await spaceOf(`${root}/`)).totalBytes;
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
