// Room: service. Owns the service as a long-lived server on the pool's host reaches it, with many callers at the same time.
import { type Config, paths, redisUrl } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import { chooseDriver, devicePathOf, usedBytesOf } from "../drivers/open.ts";
import type { DriverName } from "../drivers/port.ts";
import { JobClient } from "../jobs/requests/client.ts";
import type { Database } from "../metadata/database.ts";
import { databaseNumber } from "../metadata/pool.ts";
import { DatabaseReader } from "./database-reader.ts";
import type { Service } from "./service.ts";
import { Unsettled } from "./unsettled.ts";

/** A commit may have gigabytes to flush, a first snapshot a large file system to make. Callers may wait for less. */
const patienceMs = 10 * 60_000;

export class ServerService implements Service, AsyncDisposable {
  readonly #config: Config;
  readonly #driver: DriverName;
  readonly #reader: DatabaseReader;
  readonly #unsettled = new Unsettled();
  #client: Promise<JobClient> | undefined;

  constructor(config: Config) {
    this.#config = config;
    this.#driver = chooseDriver(config.driver, paths.poolDir(config));
    this.#reader = new DatabaseReader(paths.database(config));
  }

  /** Throws unavailable while there is none, or it cannot be read. */
  readonly database = (): Database => this.#reader.current();

  /**
   * Throws what `JobClient.call` throws; `unavailable` within about a second when Redis or the worker is away.
   *
   * A change that still waits in the queue when its caller gives up is taken back. One that is being executed happens as a
   * whole: the next caller that asks for the same key is told so, by already_exists or not_found.
   */
  readonly change: Service["change"] = async (name, given, { operationId, deadlineMs = patienceMs, signal } = {}) => {
    const keys = keysOf(given);
    await this.#unsettled.settled(keys, signal);
    const client = await this.#connected();
    return await client.call(name, given, {
      operationId,
      deadlineMs,
      signal,
      needsWorker: true,
      onLeft: (ended) => this.#unsettled.note(keys, ended),
    });
  };

  readonly devicePath = (deviceName: DeviceName): string =>
    devicePathOf(this.#driver, paths.devices(this.#config), deviceName);

  readonly usedBytes: Service["usedBytes"] = (device) => usedBytesOf(this.#driver, paths.poolDir(this.#config), device);

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#client?.catch(() => undefined))?.[Symbol.asyncDispose]();
    this.#reader[Symbol.dispose]();
  }

  /** One client for all calls; a Redis that is away is asked again at the next call. */
  async #connected(): Promise<JobClient> {
    try {
      this.#client ??= this.#connect();
      return await this.#client;
    } catch (error) {
      this.#client = undefined;
      throw asSnapmillError(error);
    }
  }

  async #connect(): Promise<JobClient> {
    const database = databaseNumber(this.database());
    return await JobClient.connect({ redisUrl: redisUrl(this.#config), pool: this.#config.pool, database });
  }
}

/** The keys and names of the snapshots that a change is about. */
const keysOf = (given: object): string[] =>
  Object.entries(given).flatMap(([field, value]) =>
    (field === "key" || field === "name") && typeof value === "string" ? [value] : [],
  );
