// Owns the thin-pool that processes are killed on: how each of them connects to it, and how it is taken off by force.
import { basename, join } from "node:path";
import { poolName } from "../../src/domain/identifiers.ts";
import { type DmControl, type DmControlName, isDmError } from "../../src/drivers/devicemapper/control/control.ts";
import { createDmsetupControl } from "../../src/drivers/devicemapper/control/dmsetup.ts";
import { withFaultPoints } from "../../src/drivers/devicemapper/control/fault-points.ts";
import { createLibdevmapperControl } from "../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import { createDevmapperDriver } from "../../src/drivers/devicemapper/driver.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/pool/definition.ts";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import { type Ground, openStage, type Stage } from "../conformance/snapshotter-fixture.ts";
import { loopsBackedBelow } from "../support/residue.ts";

const mebibyte = 2 ** 20;
export const deviceSizeBytes = 24 * mebibyte;
export const poolSizeBytes = 512 * mebibyte;

/** A pool in a directory: all that a process needs to know to be its worker. */
export interface PoolPlace {
  readonly directory: string;
  readonly control: DmControlName;
}

export const poolIn = ({ directory }: PoolPlace) => poolName(basename(directory).toLowerCase());
export const poolDirectory = ({ directory }: PoolPlace): string => join(directory, "pool");
/** Where a scene's snapshot is mounted, if it has one that is. */
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

const groundOf = (place: PoolPlace, connect: () => DmControl): Ground => ({
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
 * Opens the pool as its worker does at its start: made when it is new, loaded, taken over, put in order. `connect`: to
 * device-mapper, for one worker; default: anew.
 */
export const startWorker = (
  place: PoolPlace,
  snapshotter: Partial<SnapshotterOptions> = {},
  connect = () => connectControl(place),
): Promise<Stage> =>
  openStage(groundOf(place, connect), {
    directory: place.directory,
    poolSizeBytes,
    snapshotter: { deviceSizeBytes, ...snapshotter },
  });

/** The same control for somebody who thinks that it is his: it outlives him. */
export const lent = (control: DmControl) => (): DmControl => ({
  ...control,
  [Symbol.asyncDispose]: async () => undefined,
});

/** What the host still has of the pool: devices, loop devices. */
export async function leftOnHost(place: PoolPlace, control: DmControl): Promise<string[]> {
  const devices = (await control.list(`${poolIn(place)}-`)).map(({ name }) => `device ${name}`);
  return [...devices, ...loopsBackedBelow(`${place.directory}/`)];
}

/** Takes everything of the pool off the host, however it is. */
export async function takeOff(place: PoolPlace, control: DmControl): Promise<void> {
  const isPool = (name: string) => name === poolDeviceName(poolIn(place));
  const devices = await control.list(`${poolIn(place)}-`);
  for (const { name } of devices.toSorted((one, other) => Number(isPool(one.name)) - Number(isPool(other.name)))) {
    // A suspended one cannot be closed by who waits for it.
    await control.resume(name).catch(() => undefined);
    await control.remove(name).catch((error: unknown) => {
      if (!isDmError(error, "ENXIO")) throw error;
    });
  }
  for (let wait = 0; wait < 100 && loopsBackedBelow(`${place.directory}/`).length > 0; wait++) await Bun.sleep(50);
}
