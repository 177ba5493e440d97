// Owns the pools that the reflink driver is tested on: in a file, and in a directory of their own XFS.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeviceRef } from "../../src/domain/devices.ts";
import { type DeviceId, deviceName, poolName } from "../../src/domain/identifiers.ts";
import { createReflinkDriver, type ReflinkOptions } from "../../src/drivers/reflink/driver.ts";
import { listLoops } from "../../src/system/block/attached-loops.ts";
import { attachLoop, detachLoop } from "../../src/system/block/loop.ts";
import { isMountPoint, mountInfo } from "../../src/system/mount/mountinfo.ts";
import { mountAt, unmount } from "../../src/system/mount/mounts.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import type { DriverTestPool } from "../conformance/driver-fixture.ts";

export const mebibyte = 2 ** 20;
const poolBytes = 512 * mebibyte;

export interface ReflinkTestPool extends DriverTestPool {
  readonly dir: string;
  readonly options: ReflinkOptions;
  /** Of 16 MiB. */
  device(serial: number): DeviceRef;
}

function makeTestPool(dir: string, poolDir: string, takeDown: () => Promise<void>): ReflinkTestPool {
  const pool = poolName("test");
  const runDir = join(dir, "run");
  const options = { pool, poolDir, devicesDir: join(runDir, "test/dev"), runDir, sizeBytes: poolBytes };
  const loops = async () => (await listLoops()).filter((entry) => entry.backingFile.startsWith(`${poolDir}/`));
  const reboot = async () => {
    const isPoolItself = (file: string) => file === join(poolDir, "pool.img");
    for (const { path, backingFile } of await loops())
      if (!isPoolItself(backingFile)) await detachLoop(path, backingFile);
    if (await isMountPoint(join(poolDir, "devices"))) await unmount(join(poolDir, "devices"));
    for (const { path, backingFile } of await loops()) await detachLoop(path, backingFile);
    await rm(runDir, { recursive: true, force: true });
  };
  return {
    dir,
    pool,
    options,
    device: (serial) => ({
      deviceId: serial as DeviceId,
      deviceName: deviceName(pool, serial),
      sizeBytes: 16 * mebibyte,
    }),
    connect: () => createReflinkDriver(options),
    leftOnHost: async () => [
      ...(await loops()).map((entry) => `${entry.path}: ${entry.backingFile}`),
      ...(await mountInfo()).map((entry) => entry.mountPoint).filter((point) => point.startsWith(`${poolDir}/`)),
      ...(existsSync(runDir) ? [runDir, ...(await readdir(options.devicesDir).catch(() => []))] : []),
    ],
    reboot,
    [Symbol.asyncDispose]: async () => {
      await reboot();
      await takeDown();
      await rm(dir, { recursive: true });
    },
  };
}

const makeDir = async () => realpath(await mkdtemp(join(tmpdir(), "snapmill-pool-")));

export async function poolInFile(): Promise<ReflinkTestPool> {
  const dir = await makeDir();
  return makeTestPool(dir, join(dir, "pool"), () => Promise.resolve());
}

export async function poolInDirectory(): Promise<ReflinkTestPool> {
  const dir = await makeDir();
  const image = join(dir, "host.img");
  const host = join(dir, "host");
  await mkdir(host);
  await writeFile(image, "");
  await truncate(image, poolBytes);
  await runCommand("mkfs.xfs", ["-q", "-m", "reflink=1", image]);
  const loop = await attachLoop(image, { directIo: true });
  await mountAt(loop.path, host, "xfs");
  return makeTestPool(dir, join(host, "pool"), async () => {
    await unmount(host);
    await loop[Symbol.asyncDispose]();
  });
}
