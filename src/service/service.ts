// Room: service. Owns what operations act on: one pool's database for reading, its queue for changes, its devices.
import type { DeviceRef } from "../domain/devices.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import type { Arguments, PoolJobName, Result } from "../jobs/contract.ts";
import type { PoolCallOptions } from "../jobs/requests/client.ts";
import type { Database } from "../metadata/database.ts";

/** What a caller may say of its wait: see `PoolCallOptions`. */
export type CallOptions = Pick<PoolCallOptions, "operationId" | "deadlineMs" | "signal">;

/** How a caller ends an operation before its time: it throws the reason of `signal`. */
export type Ending = Pick<CallOptions, "signal">;

/** One pool, as far as its worker does everything. */
export interface Changes {
  /** Has the pool's worker do one of its jobs; throws what `JobClient.call` throws. */
  readonly change: <Name extends PoolJobName>(
    name: Name,
    given: Arguments<Name>,
    options?: CallOptions,
  ) => Promise<Result<Name>>;
}

/** One pool, as an adapter (the command line, containerd's socket) reaches it on its host. */
export interface Service extends Changes {
  /**
   * The pool's database, for reading, as it is now: to be asked for again after every wait. Throws not_found or
   * unavailable while there is none.
   */
  readonly database: () => Database;
  /** Where an active device is found. */
  readonly devicePath: (deviceName: DeviceName) => string;
  /** Bytes that a device maps, shared ones included. Throws not_found while the pool is not open on this host. */
  readonly usedBytes: (device: DeviceRef) => Promise<number>;
}
