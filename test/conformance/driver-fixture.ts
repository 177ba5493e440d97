// Owns the fixture of the suite for drivers: a pool with its driver, and devices that are made, mounted and read.
import { expect } from "bun:test";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeviceRef, FsType } from "../../src/domain/devices.ts";
import type { ErrorCode } from "../../src/domain/errors.ts";
import { type DeviceId, deviceName, type PoolName } from "../../src/domain/identifiers.ts";
import type { Driver } from "../../src/drivers/port.ts";
import { mountDetached } from "../../src/system/mount/detached.ts";
import { makeFileSystem, mountOptions } from "../../src/system/mount/filesystems.ts";
import { mountAt, unmount } from "../../src/system/mount/mounts.ts";

export const mebibyte = 2 ** 20;

/** A pool to run the suite on. Disposing of it removes the pool and everything beneath it. */
export interface DriverTestPool extends AsyncDisposable {
  readonly pool: PoolName;
  /** A new driver of this pool, as a starting process makes it. Not opened. */
  connect(): Driver;
  /** What a closed pool still has on this host besides its contents: loop devices, mounts, device nodes. */
  leftOnHost(): Promise<readonly string[]>;
  /** Removes from this host what a reboot removes, without a driver: all that `leftOnHost` returns. */
  reboot(): Promise<void>;
}

/** The parts of an open fixture. */
interface Opened {
  readonly scratch: string;
  readonly testPool: DriverTestPool;
  readonly driver: Driver;
}

/** One pool for all cases of a suite. Its functions may be taken from it by name. */
export class DriverFixture {
  #opened: Opened | undefined;
  #takeOvers = 0;
  readonly #devices: DeviceRef[] = [];

  async open(makeTestPool: () => Promise<DriverTestPool>): Promise<void> {
    const scratch = await mkdtemp(join(tmpdir(), "snapmill-drivers-"));
    const testPool = await makeTestPool();
    this.#opened = { scratch, testPool, driver: testPool.connect() };
    await this.#takeOver();
  }

  /** As a worker does at its start. */
  async #takeOver(): Promise<void> {
    await this.driver.open();
    const known = this.#takeOvers === 0 ? undefined : { owner: 1, takeOver: this.#takeOvers };
    await this.driver.claim(known, () => {
      this.#takeOvers += 1;
      return { owner: 1, takeOver: this.#takeOvers };
    });
  }

  async close(): Promise<void> {
    const { scratch, testPool, driver } = this.#open;
    await driver.close();
    await testPool[Symbol.asyncDispose]();
    await rm(scratch, { recursive: true, force: true });
  }

  get #open(): Opened {
    if (this.#opened === undefined) throw new Error("the fixture is not open: no pool was made");
    return this.#opened;
  }

  get testPool(): DriverTestPool {
    return this.#open.testPool;
  }

  /** The current driver; `reconnect` replaces it. */
  get driver(): Driver {
    return this.#open.driver;
  }

  /** Opens the pool as the next process does, whatever the state of the current driver. */
  async reconnect(): Promise<void> {
    this.#opened = { ...this.#open, driver: this.testPool.connect() };
    await this.#takeOver();
  }

  nextDevice = (sizeBytes = 64 * mebibyte): DeviceRef => {
    const serial = this.#devices.length + 1;
    const name = deviceName(this.testPool.pool, serial);
    const device = { deviceId: serial as DeviceId, deviceName: name, sizeBytes };
    this.#devices.push(device);
    return device;
  };

  pathOf = (device: DeviceRef) => this.driver.devicePath(device.deviceName);

  /** A new, active device with an empty file system. */
  formatted = async (sizeBytes = 64 * mebibyte, fsType: FsType = "ext4"): Promise<DeviceRef> => {
    const device = this.nextDevice(sizeBytes);
    await this.driver.create(device);
    await this.driver.activate(device);
    await makeFileSystem({ devicePath: this.pathOf(device), fsType, fresh: true });
    return device;
  };

  snapshotOf = async (origin: DeviceRef, sizeBytes = origin.sizeBytes): Promise<DeviceRef> => {
    const device = this.nextDevice(sizeBytes);
    await this.driver.snapshot(origin, device);
    await this.driver.activate(device);
    return device;
  };

  onMounted = async <T>(device: DeviceRef, action: (root: string) => Promise<T>, fsType: FsType = "ext4") => {
    const source = this.pathOf(device);
    using mount = mountDetached({ source, fsType, options: mountOptions(fsType, false), readOnly: false });
    return await action(`/proc/self/fd/${mount.fd}`);
  };

  put = (device: DeviceRef, name: string, text: string, fsType: FsType = "ext4") =>
    this.onMounted(device, (root) => writeFile(join(root, name), text), fsType);

  get = (device: DeviceRef, name: string, fsType: FsType = "ext4") =>
    this.onMounted(device, (root) => readFile(join(root, name), "utf8").catch(() => "absent"), fsType);

  /** Mounted at a directory, as a container runtime has it. */
  whileMountedAt = async (device: DeviceRef, action: (dir: string) => Promise<void>): Promise<void> => {
    const dir = join(this.#open.scratch, device.deviceName);
    await mkdir(dir);
    await mountAt(this.pathOf(device), dir, "ext4");
    await using _mount = { [Symbol.asyncDispose]: () => unmount(dir) };
    await action(dir);
  };

  remove = async (...devices: readonly DeviceRef[]): Promise<void> => {
    for (const device of devices) await this.driver.delete(device);
  };

  found = async (device: DeviceRef) =>
    (await this.driver.list(this.#devices)).find((candidate) => candidate.deviceName === device.deviceName);
}

/** Expects `attempt` to fail with this code, and a message that contains `saying`. */
export async function rejects(attempt: Promise<unknown>, code: ErrorCode, saying: string): Promise<void> {
  const outcome: unknown = await attempt.then(
    () => "succeeded",
    (error: unknown) => error,
  );
  expect(outcome).toMatchObject({ code });
  expect(String(outcome)).toContain(saying);
}

export const isZeroes = (content: Buffer): boolean => content.equals(Buffer.alloc(content.length));

/** The first `lengthBytes` of a block device; fewer when it is shorter. */
export async function readDevice(path: string, lengthBytes: number): Promise<Buffer> {
  await using handle = await open(path, "r");
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(lengthBytes), 0, lengthBytes, 0);
  return buffer.subarray(0, bytesRead);
}
