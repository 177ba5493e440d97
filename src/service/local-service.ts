// Room: service. Owns the service for a command on the pool's host: the pool's database, and the queue of the snapmill
// that runs for the state directory. Each is opened when it is first needed.
import { type Config, paths } from "../config.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import type { Running } from "../domain/running.ts";
import { devicePathOf, recordedDriver, usedBytesOf } from "../drivers/open.ts";
import type { DriverName } from "../drivers/port.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import type { Database } from "../metadata/database.ts";
import { readPool } from "../metadata/pool.ts";
import { requireOwnPlace } from "../supervisor/directories.ts";
import { findRunning } from "../supervisor/running.ts";
import { askReadiness } from "./readiness.ts";
import { connectPatiently, type Notice, requireRunning } from "./running-client.ts";
import type { PoolService, Service } from "./service.ts";
import { openStore } from "./store.ts";

export class LocalService implements PoolService, AsyncDisposable {
  readonly config: Config;
  /** Receives sentences about what an operation waits for, or has repaired. */
  readonly notice: Notice;
  #database: Database | undefined;
  #client: Promise<JobClient> | undefined;

  /** Throws `failed_precondition` if another user of the host could have put something into its directories. */
  constructor(config: Config, notice: Notice) {
    requireOwnPlace(config);
    this.config = config;
    this.notice = notice;
  }

  /** Throws not_found if the state directory has no such pool yet. */
  readonly database = (): Database => (this.#database ??= openStore(this.config));

  /** Throws what `requireRunning` throws. */
  readonly change: Service["change"] = async (name, given, options) => {
    const client = await this.client();
    return await client.call(name, given, options);
  };

  readonly devicePath = (deviceName: DeviceName): string =>
    devicePathOf(this.#driver(), paths.devices(this.config), deviceName);

  readonly usedBytes: Service["usedBytes"] = (device) =>
    usedBytesOf(this.#driver(), paths.poolDir(this.config), device);

  /** Throws unavailable if no snapmill runs for the state directory, failed_precondition if it serves another pool. */
  async requireRunning(): Promise<void> {
    await requireRunning(this.config);
  }

  /** The snapmill that runs for the state directory, whatever pool it serves; undefined: none does. */
  readonly running = (): Promise<Running | undefined> => findRunning(this.config);

  readonly readiness: PoolService["readiness"] = () => askReadiness(this.config);

  /** The client for the queue of the running snapmill. `signal` ends the wait for Redis. */
  readonly client = async (signal?: AbortSignal): Promise<JobClient> => {
    this.#client ??= this.#connect(signal);
    try {
      return await this.#client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database?.close();
    await (await this.#client?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }

  async #connect(signal: AbortSignal | undefined): Promise<JobClient> {
    await this.requireRunning();
    return await connectPatiently(this.config, this.notice, signal);
  }

  #driver(): DriverName {
    return recordedDriver(readPool(this.database())?.driver ?? "reflink");
  }
}
