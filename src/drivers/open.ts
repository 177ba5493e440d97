// Room: drivers. Owns the choice of a driver, and what can be said about its devices without opening a pool.
import { existsSync } from "node:fs";
import type { DeviceRef, DraftCopies } from "../domain/devices.ts";
import { failedPrecondition, notFound } from "../domain/errors.ts";
import type { DeviceName, PoolName } from "../domain/identifiers.ts";
import { type SpaceSource, spaceOf } from "../system/file/space.ts";
import { isMountPoint } from "../system/mount/mountinfo.ts";
import { type DmControl, type DmControlName, isDmError } from "./devicemapper/control/control.ts";
import { createDmsetupControl } from "./devicemapper/control/dmsetup.ts";
import { withFaultPoints } from "./devicemapper/control/fault-points.ts";
import { createLibdevmapperControl } from "./devicemapper/control/libdevmapper/control.ts";
import { devicePath as mapperPath } from "./devicemapper/control/names.ts";
import { createDevmapperDriver } from "./devicemapper/driver.ts";
import { metadataDeviceOf, PoolContents } from "./devicemapper/pool/contents.ts";
import { beginningPath, definitionPath, poolDeviceName, readDefinition } from "./devicemapper/pool/definition.ts";
import { spaceInPool } from "./devicemapper/pool/geometry.ts";
import { readPoolStatus, stateOf } from "./devicemapper/pool/health.ts";
import { observedControl, observedDriver } from "./observed.ts";
import { type Driver, type DriverName, driverNames, type PoolUsage } from "./port.ts";
import { createReflinkDriver } from "./reflink/driver.ts";
import { mappedBytes } from "./reflink/files.ts";
import { copiesDir, deviceFile, devicePath, filesDir, imagePath } from "./reflink/layout.ts";

export interface DriverRequest {
  readonly driver: "auto" | DriverName;
  readonly pool: PoolName;
  readonly poolDir: string;
  /** Where the stable paths of active devices appear; device-mapper's are in a place of their own. */
  readonly devicesDir: string;
  readonly runDir: string;
  /** Of a new pool. */
  readonly sizeBytes: number;
  readonly dmControl: DmControlName;
  /** Of a thin-pool: see DevmapperOptions. */
  readonly minFreeShare: number;
  readonly discardBlocks: boolean;
  readonly onNotice?: (sentence: string) => void;
}

/**
 * The driver of the pool at `poolDir`. `auto`: what the pool was made for; where there is none yet, reflink, which works
 * on every kernel. (A thin-pool is there once `pool create` or an `up --driver devmapper` has made it.) Throws
 * `failed_precondition` when the pool is another driver's than was asked for.
 */
export function chooseDriver(asked: "auto" | DriverName, poolDir: string): DriverName {
  const existing = driverOfPool(poolDir);
  if (asked === "auto") return existing ?? "reflink";
  if (existing === undefined || existing === asked) return asked;
  throw failedPrecondition(
    `the pool in ${poolDir} was made for the driver ${existing}: use --driver ${existing} (or auto), or another --pool`,
  );
}

/** The files in its directory by which each driver's pool is known, also one that is half-made. */
const tracesOf: Readonly<Record<DriverName, (poolDir: string) => readonly string[]>> = {
  devmapper: (poolDir) => [definitionPath(poolDir), beginningPath(poolDir)],
  reflink: (poolDir) => [imagePath(poolDir), filesDir(poolDir)],
};

/** Whose pool lies in `poolDir`, if only half-made: its driver takes that down. Undefined: there is none. */
export const driverOfPool = (poolDir: string): DriverName | undefined =>
  driverNames.find((name) => tracesOf[name](poolDir).some((path) => existsSync(path)));

/** The driver that a pool's database names. Throws `failed_precondition` for one that this version does not know. */
export function recordedDriver(text: string): DriverName {
  const known = driverNames.find((name) => name === text);
  if (known === undefined) throw failedPrecondition(`the pool's driver ${JSON.stringify(text)} is not known here`);
  return known;
}

/** The driver for a pool; its `open` does the work. */
export function createDriver(request: DriverRequest): Driver {
  switch (chooseDriver(request.driver, request.poolDir)) {
    case "reflink":
      return observedDriver(createReflinkDriver(request));
    case "devmapper":
      return observedDriver(createDevmapperDriver({ ...request, connect: () => createDmControl(request.dmControl) }));
  }
}

/** The way to the kernel's device-mapper. */
export function createDmControl(name: DmControlName): DmControl {
  switch (name) {
    case "dmsetup":
      return observedControl(withFaultPoints(createDmsetupControl()));
    case "libdevmapper":
      return observedControl(withFaultPoints(createLibdevmapperControl()));
  }
}

/** The path of an active device, as `Driver.devicePath` returns it, without an open pool. */
export function devicePathOf(driver: DriverName, devicesDir: string, deviceName: DeviceName): string {
  switch (driver) {
    case "reflink":
      return devicePath(devicesDir, deviceName);
    case "devmapper":
      return mapperPath(deviceName);
  }
}

/**
 * Bytes that a device maps, as `Driver.usedBytes` says it, from any process on the host. `not_found` when the device
 * is not there, or its pool is not open on this host.
 */
export async function usedBytesOf(driver: DriverName, poolDir: string, device: DeviceRef): Promise<number> {
  switch (driver) {
    case "reflink":
      return await mappedBytes(filesDir(poolDir), device.deviceName);
    case "devmapper": {
      const path = await metadataDeviceIn(poolDir);
      const usedBytes = path === undefined ? undefined : await new PoolContents(path).mappedBytes(device.deviceId);
      if (usedBytes === undefined) throw notFound(`there is no device ${device.deviceName} in the pool at ${poolDir}`);
      return usedBytes;
    }
  }
}

/** Undefined where a device's content is no file. */
export function draftCopiesOf(driver: DriverName, poolDir: string, deviceName: DeviceName): DraftCopies | undefined {
  switch (driver) {
    case "reflink": {
      const dir = filesDir(poolDir);
      return { file: deviceFile(dir, deviceName), directory: copiesDir(dir, deviceName) };
    }
    case "devmapper":
      return undefined;
  }
}

/** How full the pool is, from any process on the host; undefined while it is not attached. */
export async function poolUsageOf(
  driver: DriverName,
  poolDir: string,
  dmControl: DmControlName,
): Promise<PoolUsage | undefined> {
  switch (driver) {
    case "reflink": {
      const directory = filesDir(poolDir);
      const isAttached = existsSync(imagePath(poolDir)) ? await isMountPoint(directory) : existsSync(directory);
      return isAttached ? await spaceOf(directory) : undefined;
    }
    case "devmapper":
      return await thinPoolUsage(poolDir, dmControl);
  }
}

async function thinPoolUsage(poolDir: string, dmControl: DmControlName): Promise<PoolUsage | undefined> {
  const definition = await readDefinition(poolDir);
  if (definition === undefined) return undefined;
  await using control = createDmControl(dmControl);
  try {
    const status = await readPoolStatus(control, poolDeviceName(definition.pool));
    const { data, metadata } = spaceInPool(definition, status);
    return { ...data, metadata, state: stateOf(status), isMetadataHeld: status.heldMetadataRoot !== undefined };
  } catch (error) {
    if (isDmError(error, "ENXIO")) return undefined;
    throw error;
  }
}

/** The spaces that must not run full: the pool's own, and the host's disk under it. */
export async function spaceSourcesOf(
  driver: DriverName,
  poolDir: string,
): Promise<readonly { readonly source: SpaceSource; readonly owner: "host" | "pool" }[]> {
  switch (driver) {
    case "reflink":
      return [
        { source: { kind: "file-system", path: poolDir }, owner: "host" },
        { source: { kind: "file-system", path: filesDir(poolDir) }, owner: "pool" },
      ];
    case "devmapper": {
      const definition = await readDefinition(poolDir);
      const metadataDevice = await metadataDeviceIn(poolDir);
      if (definition === undefined || metadataDevice === undefined) return [];
      const { storage } = definition;
      return [
        { source: { kind: "thin-pool", metadataDevice }, owner: "pool" },
        ...(storage.kind === "loopback"
          ? [{ source: { kind: "file-system", path: storage.directory }, owner: "host" } as const]
          : []),
      ];
    }
  }
}

/** The directories of the host whose file systems a pool takes its room from: none for one on devices of its own. */
export async function hostDirectoriesOf(poolDir: string): Promise<readonly string[]> {
  const driver = driverOfPool(poolDir);
  const sources = driver === undefined ? [] : await spaceSourcesOf(driver, poolDir);
  return sources.flatMap(({ owner, source }) => (owner === "host" && source.kind === "file-system" ? source.path : []));
}

async function metadataDeviceIn(poolDir: string): Promise<string | undefined> {
  const definition = await readDefinition(poolDir);
  return definition === undefined ? undefined : await metadataDeviceOf(definition);
}
