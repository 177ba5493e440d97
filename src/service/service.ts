// Room: service. Owns what operations act on: a pool's database for reads, its queue for changes, and its devices.
import type { Config } from "../config.ts";
import type { DeviceRef } from "../domain/devices.ts";
import type { Readiness } from "../domain/health.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import type { Arguments, PoolJobName, Result } from "../jobs/contract.ts";
import type { JobClient, PoolCallOptions } from "../jobs/requests/client.ts";
import type { Database } from "../metadata/database.ts";
import type { PoolWatch } from "./pool-watch.ts";

/** How long, and how, a caller waits: see `PoolCallOptions`. */
export type CallOptions = Pick<PoolCallOptions, "operationId" | "deadlineMs" | "signal">;

/** How a caller cancels an operation, which then throws the reason of `signal`. */
export type Ending = Pick<CallOptions, "signal">;

/** The same of one that is a single job, whose journal knows it by its ID. */
export type Asked = Pick<CallOptions, "operationId" | "signal">;

/** A pool that is reached through its worker only. */
export interface Changes {
  /** Runs a job on the pool's worker; throws what `JobClient.call` throws. */
  readonly change: <Name extends PoolJobName>(
    name: Name,
    given: Arguments<Name>,
    options?: CallOptions,
  ) => Promise<Result<Name>>;
}

/** A pool on this host, as adapters (the command line, containerd's socket) use it. */
export interface Service extends Changes {
  /**
   * The pool's current database, for reading: call this again after every wait. Throws not_found or unavailable while
   * there is none.
   */
  readonly database: () => Database;
  /** The path of an active device. */
  readonly devicePath: (deviceName: DeviceName) => string;
  /** Bytes that a device maps, including shared ones. Throws not_found if the pool is not attached on this host. */
  readonly usedBytes: (device: DeviceRef) => Promise<number>;
}

/** The same with the pool's configuration and the client of its queues: what unpacks, repairs and reports need. */
export interface PoolService extends Service {
  readonly config: Config;
  /** Receives sentences about what an operation waits for, or has repaired. */
  readonly notice: (sentence: string) => void;
  /** What /readyz says of the pool; undefined: no `up` runs for it. Never throws. */
  readonly readiness: () => Promise<Readiness | undefined>;
  /** In the `up` that serves the pool: what it knows of it. */
  readonly watch?: PoolWatch | undefined;
  /** `signal` ends the wait for Redis. */
  readonly client: (signal?: AbortSignal) => Promise<JobClient>;
}
