// Room: service. Owns the way of a command on the pool's host to the pool: its database, and the queue of the snapmill
// that runs for the state directory. Each is opened when it is first needed; nothing of devices is loaded.
import type { Config } from "../config.ts";
import type { Running } from "../domain/running.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import type { Database } from "../metadata/database.ts";
import { lastTakeOver } from "../metadata/pool.ts";
import { requireOwnPlace } from "../supervisor/directories.ts";
import { findRunning } from "../supervisor/running.ts";
import { connectPatiently, type Notice, requireRunning } from "./running-client.ts";
import type { Changes, PoolService } from "./service.ts";
import { openStore, storeIfAny } from "./store.ts";

export class LocalClient implements Changes, AsyncDisposable {
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
  readonly change: Changes["change"] = async (name, given, options) => {
    const client = await this.client();
    return await client.call(name, given, options);
  };

  /** Throws unavailable if no snapmill runs for the state directory, failed_precondition if it serves another pool. */
  async requireRunning(): Promise<void> {
    await requireRunning(this.config);
  }

  /** The snapmill that runs for the state directory, whatever pool it serves; undefined: none does. */
  readonly running = (): Promise<Running | undefined> => findRunning(this.config);

  /** The client for the queue of the running snapmill. `signal` ends the wait for Redis. */
  readonly client: PoolService["client"] = async (signal) => {
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
    this.#database ??= storeIfAny(this.config);
    const database = this.#database && lastTakeOver(this.#database)?.owner;
    return await connectPatiently(this.config, this.notice, { signal, database });
  }
}
