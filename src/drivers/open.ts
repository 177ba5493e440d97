// Room: drivers. Owns the choice of a driver, and what can be said about its devices without opening a pool.
import { failedPrecondition } from "../domain/errors.ts";
import type { DeviceName, PoolName } from "../domain/identifiers.ts";
import type { Driver, DriverName } from "./port.ts";
import { createReflinkDriver } from "./reflink/driver.ts";
import { mappedBytes } from "./reflink/files.ts";
import { devicePath, filesDir } from "./reflink/layout.ts";

export interface DriverRequest {
  readonly driver: "auto" | DriverName;
  readonly pool: PoolName;
  readonly poolDir: string;
  /** Where the stable paths of active devices appear. */
  readonly devicesDir: string;
  /** Of a new pool. */
  readonly sizeBytes: number;
  readonly onNotice?: (sentence: string) => void;
}

/** The driver to use where `asked` is wanted; `failed_precondition` for one that this build does not have. */
export function chooseDriver(asked: "auto" | DriverName): "reflink" {
  switch (asked) {
    case "auto":
    case "reflink":
      return "reflink";
    case "devmapper":
      throw failedPrecondition("this version has no devmapper driver; use --driver reflink (or auto)");
  }
}

/** The driver for a pool; its `open` does the work. */
export function createDriver(request: DriverRequest): Driver {
  switch (chooseDriver(request.driver)) {
    case "reflink":
      return createReflinkDriver(request);
  }
}

/** The path of an active device, as `Driver.devicePath` says it, for who has no open pool. */
export function devicePathOf(driver: DriverName, devicesDir: string, deviceName: DeviceName): string {
  switch (driver) {
    case "reflink":
      return devicePath(devicesDir, deviceName);
    case "devmapper":
      return `/dev/mapper/${deviceName}`;
  }
}

/**
 * Bytes that a device maps, as `Driver.usedBytes` says it, from any process on the host. `not_found` when the device
 * is not there, or its pool is not open on this host.
 */
export const usedBytesOf = (driver: "reflink", poolDir: string, deviceName: DeviceName): Promise<number> => {
  switch (driver) {
    case "reflink":
      return mappedBytes(filesDir(poolDir), deviceName);
  }
};

/** The file systems that lose writes, or stop, when they run full under a pool: the host's, and the pool's own. */
export function spacePathsOf(driver: "reflink", poolDir: string): readonly { path: string; owner: "host" | "pool" }[] {
  switch (driver) {
    case "reflink":
      return [
        { path: poolDir, owner: "host" },
        { path: filesDir(poolDir), owner: "pool" },
      ];
  }
}
