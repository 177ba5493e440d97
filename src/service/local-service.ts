// Room: service. Owns the service for a command on the pool's host: besides the way to the pool, its devices.
import { paths } from "../config.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import { devicePathOf, recordedDriver, usedBytesOf } from "../drivers/open.ts";
import type { DriverName } from "../drivers/port.ts";
import { readPool } from "../metadata/pool.ts";
import { LocalClient } from "./local-client.ts";
import { askReadiness } from "./readiness.ts";
import type { PoolService, Service } from "./service.ts";

export class LocalService extends LocalClient implements PoolService {
  readonly devicePath = (deviceName: DeviceName): string =>
    devicePathOf(this.#driver(), paths.devices(this.config), deviceName);

  readonly usedBytes: Service["usedBytes"] = (device) =>
    usedBytesOf(this.#driver(), paths.poolDir(this.config), device);

  readonly readiness: PoolService["readiness"] = () => askReadiness(this.config);

  #driver(): DriverName {
    return recordedDriver(readPool(this.database())?.driver ?? "reflink");
  }
}
