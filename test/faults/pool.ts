// Owns the thin-pool of the fault tests: how processes connect to it, and how it is removed by force.
import { basename, join } from "node:path";
import { poolName } from "../../src/domain/identifiers.ts";
import { type DmControl, type DmControlName, isDmError } from "../../src/drivers/devicemapper/control/control.ts";
import { createDmsetupControl } from "../../src/drivers/devicemapper/control/dmsetup.ts";
import { withFaultPoints } from "../../src/drivers/devicemapper/control/fault-points.ts";
import { createLibdevmapperControl } from "../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import { createDevmapperDriver } from "../../src/drivers/devicemapper/driver.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/pool/definition.ts";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import { openFixture, type SnapshotterFixture, type TestPool } from "../conformance/snapshotter-fixture.ts";
import { loopsBackedBelow } from "../support/residue.ts";
import { until } from "../support/until.ts";

const mebibyte = 2 ** 20;
export const deviceSizeBytes = 24 * mebibyte;
export const poolSizeBytes = 512 * mebibyte;

/** A pool in a directory: all that its worker needs to know. */
export interface PoolPlace {
  readonly directory: string;
  readonly control: DmControlName;
}

export const poolIn = ({ directory }: PoolPlace) => poolName(basename(directory).toLowerCase());
export const poolDirectory = ({ directory }: PoolPlace): string => join(directory, "pool");
/** Where a scenario's snapshot is mounted, if it has one that is. */
export const mountpointIn = ({ directory }: PoolPlace): string => join(directory, "mount");
export const metadataFile = (place: PoolPlace): string => join(poolDirectory(place), "metadata.img");

export function connectControl({ control }: PoolPlace): DmControl {
  switch (control) {
    case "dmsetup":
      return createDmsetupControl();
    case "libdevmapper":
      return createLibdevmapperControl();
  }
}

const testPoolOf = (place: PoolPlace, connect: () => DmControl): TestPool => ({
  pool: poolIn(place),
  connectDriver: (_directory, sizeBytes) =>
    createDevmapperDriver({
      pool: poolIn(place),
      poolDir: poolDirectory(place),
      sizeBytes,
      connect: () => withFaultPoints(connect()),
      minFreeShare: 0.02,
      discardBlocks: true,
    }),
});

/**
 * Opens the pool as its worker does at its start: creates it if it is new, loads it, takes it over, recovers it. `connect`
 * opens the worker's connection to device-mapper; default: a new one.
 */
export const startWorker = (
  place: PoolPlace,
  snapshotter: Partial<SnapshotterOptions> = {},
  connect = () => connectControl(place),
): Promise<SnapshotterFixture> =>
  openFixture(testPoolOf(place, connect), {
    directory: place.directory,
    poolSizeBytes,
    snapshotter: { deviceSizeBytes, ...snapshotter },
  });

/** The control for a worker that closes it when it ends: it stays open. */
export const keptOpen = (control: DmControl) => (): DmControl => ({
  ...control,
  [Symbol.asyncDispose]: async () => undefined,
});

/** Devices and loop devices of the pool that are still on the host. */
export async function leftOnHost(place: PoolPlace, control: DmControl): Promise<string[]> {
  const devices = (await control.list(`${poolIn(place)}-`)).map(({ name }) => `device ${name}`);
  return [...devices, ...loopsBackedBelow(`${place.directory}/`)];
}

/** Removes everything of the pool from the host, whatever its state. */
export async function removeFromHost(place: PoolPlace, control: DmControl): Promise<void> {
  const isPool = (name: string) => name === poolDeviceName(poolIn(place));
  const devices = await control.list(`${poolIn(place)}-`);
  for (const { name } of devices.toSorted((one, other) => Number(isPool(one.name)) - Number(isPool(other.name)))) {
    // A suspended device cannot be closed by a process that waits for its I/O.
    await control.resume(name).catch(() => undefined);
    await control.remove(name).catch((error: unknown) => {
      if (!isDmError(error, "ENXIO")) throw error;
    });
  }
  const loops = () => loopsBackedBelow(`${place.directory}/`);
  await until("its loop devices are detached", loops, ({ length }) => length === 0);
}
