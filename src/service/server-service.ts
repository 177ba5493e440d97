// Room: service. Owns the service for a long-lived server on the pool's host, with many callers at the same time.
import { type Config, paths, redisUrl } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import { chooseDriver, devicePathOf, usedBytesOf } from "../drivers/open.ts";
import type { DriverName } from "../drivers/port.ts";
import { JobClient } from "../jobs/requests/client.ts";
import type { Database } from "../metadata/database.ts";
import { databaseNumber } from "../metadata/pool.ts";
import { DatabaseReader } from "./database-reader.ts";
import { askReadiness } from "./readiness.ts";
import type { PoolService, Service } from "./service.ts";
import { Unsettled } from "./unsettled.ts";

/**
 * A commit may have to flush gigabytes, a base snapshot may need a large file system. Callers may set a shorter
 * deadline.
 */
const patienceMs = 10 * 60_000;

export class ServerService implements PoolService, AsyncDisposable {
  readonly config: Config;
  readonly notice: PoolService["notice"];
  readonly readiness: PoolService["readiness"];
  readonly watch: PoolService["watch"];
  readonly #driver: DriverName;
  readonly #reader: DatabaseReader;
  readonly #unsettled = new Unsettled();
  #client: Promise<JobClient> | undefined;

  /** `own`: what is not found out by asking the `up` that runs. */
  constructor(
    config: Config,
    notice: PoolService["notice"] = () => undefined,
    own: Partial<Pick<PoolService, "readiness" | "watch">> = {},
  ) {
    this.config = config;
    this.notice = notice;
    this.watch = own.watch;
    this.readiness = own.readiness ?? (() => askReadiness(config));
    this.#driver = chooseDriver(config.driver, paths.poolDir(config));
    this.#reader = new DatabaseReader(paths.database(config));
  }

  /** Throws unavailable while the database is missing or unreadable. */
  readonly database = (): Database => this.#reader.current();

  /**
   * Throws what `JobClient.call` throws; `unavailable` within about a second if Redis or the worker is away.
   *
   * If the caller gives up, a change that still waits in the queue is cancelled. One that is being executed is
   * completed; the next caller that uses the same key learns of it by already_exists or not_found.
   */
  readonly change: Service["change"] = async (name, given, { operationId, deadlineMs = patienceMs, signal } = {}) => {
    const keys = keysOf(given);
    await this.#unsettled.settled(keys, signal);
    const client = await this.client();
    return await client.call(name, given, {
      operationId,
      deadlineMs,
      signal,
      needsWorker: true,
      onLeft: (ended) => this.#unsettled.note(keys, ended),
    });
  };

  readonly devicePath = (deviceName: DeviceName): string =>
    devicePathOf(this.#driver, paths.devices(this.config), deviceName);

  readonly usedBytes: Service["usedBytes"] = (device) => usedBytesOf(this.#driver, paths.poolDir(this.config), device);

  /** One client for all calls; if Redis is away, the next call tries to connect again. */
  readonly client = async (): Promise<JobClient> => {
    try {
      this.#client ??= this.#connect();
      return await this.#client;
    } catch (error) {
      this.#client = undefined;
      throw asSnapmillError(error);
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#client?.catch(() => undefined))?.[Symbol.asyncDispose]();
    this.#reader[Symbol.dispose]();
  }

  async #connect(): Promise<JobClient> {
    const database = databaseNumber(this.database());
    return await JobClient.connect({ redisUrl: redisUrl(this.config), pool: this.config.pool, database });
  }
}

/** The keys and names of the snapshots that a change affects. */
const keysOf = (given: object): string[] =>
  Object.entries(given).flatMap(([field, value]) =>
    (field === "key" || field === "name") && typeof value === "string" ? [value] : [],
  );
