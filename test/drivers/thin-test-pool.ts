// Owns the thin-pools that the devmapper driver is tested on: made by the driver itself, in a directory of their own.
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poolName } from "../../src/domain/identifiers.ts";
import type { DmControl } from "../../src/drivers/devicemapper/control/control.ts";
import { createDmsetupControl } from "../../src/drivers/devicemapper/control/dmsetup.ts";
import { createLibdevmapperControl } from "../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import { createDevmapperDriver, type DevmapperOptions } from "../../src/drivers/devicemapper/driver.ts";
import { listLoops } from "../../src/system/block/attached-loops.ts";
import type { DriverTestPool } from "../conformance/driver-fixture.ts";
import { until } from "../support/until.ts";

export const mebibyte = 2 ** 20;

export const controls = { dmsetup: () => createDmsetupControl(), libdevmapper: () => createLibdevmapperControl() };
export type ControlName = keyof typeof controls;

export interface ThinTestPool extends DriverTestPool {
  readonly options: DevmapperOptions;
  /** For access past the driver. */
  readonly control: DmControl;
}

let serial = 0;

/** A pool, by default of 320 MiB. */
export async function thinPool(name: ControlName, overrides: Partial<DevmapperOptions> = {}): Promise<ThinTestPool> {
  const poolDir = await realpath(await mkdtemp(join(tmpdir(), "snapmill-dm-")));
  serial += 1;
  const pool = poolName(`dm-${process.pid}-${serial}`);
  const shape = { sizeBytes: 320 * mebibyte, minFreeShare: 0.02, discardBlocks: false };
  const options = { pool, poolDir, connect: controls[name], ...shape, ...overrides };
  // Always this one, whichever the driver has: it starts no processes.
  const control = controls.libdevmapper();
  const loops = async () => (await listLoops()).filter((entry) => entry.backingFile.startsWith(`${poolDir}/`));
  const devices = async () => (await control.list(`${pool}-`)).map((device) => device.name);
  const reboot = async () => {
    // The pool last: the other devices are on it.
    for (const device of (await devices()).sort().reverse()) await control.remove(device);
    await until("its loop devices are detached", loops, ({ length }) => length === 0);
  };
  return {
    pool,
    options,
    control,
    connect: () => createDevmapperDriver(options),
    leftOnHost: async () => [
      ...(await loops()).map(({ path, backingFile }) => `${path}: ${backingFile}`),
      ...(await devices()),
    ],
    reboot,
    [Symbol.asyncDispose]: async () => {
      try {
        await reboot();
      } finally {
        await control[Symbol.asyncDispose]();
      }
      await rm(poolDir, { recursive: true });
    },
  };
}
