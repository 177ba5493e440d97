// Room: service. Owns what the health check asks of a pool: can its database be read, can anything be made in it.
import { type Config, paths } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { heldReason } from "../domain/queues.ts";
import { hostDirectoriesOf, poolUsageOf, recordedDriver } from "../drivers/open.ts";
import type { PoolUsage } from "../drivers/port.ts";
import { readPool } from "../metadata/pool.ts";
import { unpackHold } from "../metadata/queue-holds.ts";
import type { PoolProbe } from "../supervisor/health.ts";
import { DatabaseReader } from "./database-reader.ts";

/** Asks without a job, so without waiting in the queue. */
export class LocalPoolProbe implements PoolProbe, Disposable {
  readonly #config: Config;
  readonly #reader: DatabaseReader;

  constructor(config: Config) {
    this.#config = config;
    this.#reader = new DatabaseReader(paths.database(config));
  }

  readonly growsIn = (): Promise<readonly string[]> => hostDirectoriesOf(paths.poolDir(this.#config));

  readonly databaseTrouble = (): string | undefined => {
    try {
      this.#driver();
      return undefined;
    } catch (error) {
      return asSnapmillError(error).message;
    }
  };

  readonly heldBack = (): string | undefined => {
    if (this.databaseTrouble() !== undefined) return undefined;
    const hold = unpackHold(this.#reader.current());
    return hold && heldReason(hold, this.#config.pool);
  };

  readonly poolTrouble = async (): Promise<string | undefined> => {
    const { pool, dmControl } = this.#config;
    // Otherwise that is the trouble of the database.
    if (this.databaseTrouble() !== undefined) return undefined;
    const driver = this.#driver();
    if (driver === undefined) return `pool ${pool} has not been made yet`;
    const usage = await poolUsageOf(recordedDriver(driver), paths.poolDir(this.#config), dmControl);
    return usage === undefined ? `pool ${pool} is not attached to this host` : stateTrouble(pool, usage);
  };

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }

  #driver(): string | undefined {
    return readPool(this.#reader.current())?.driver;
  }
}

const stateTrouble = (pool: string, { state }: PoolUsage): string | undefined =>
  state === undefined || state === "rw"
    ? undefined
    : `pool ${pool} takes nothing new (${state}): 'snapmill pool status' says why, and what to do`;
