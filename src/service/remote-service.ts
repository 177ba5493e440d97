// Room: service. Owns the service for any host of a shared Redis: jobs only, since the pool's database is on another
// host.
import type { Config } from "../config.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import { requireOwnPlace } from "../supervisor/directories.ts";
import { findRunning } from "../supervisor/running.ts";
import { LocalService } from "./local-service.ts";
import { connectPatiently, type Notice } from "./running-client.ts";
import type { Changes, Service } from "./service.ts";

export class RemoteService implements Changes, AsyncDisposable {
  readonly config: Config;
  readonly #notice: Notice;
  #client: Promise<JobClient> | undefined;

  constructor(config: Config, notice: Notice) {
    this.config = config;
    this.#notice = notice;
  }

  /** Throws what `JobClient.call` throws. */
  readonly change: Service["change"] = async (name, given, options) => {
    this.#client ??= connectPatiently(this.config, this.#notice, { signal: options?.signal });
    return await (await this.#client).call(name, given, options);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#client?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }
}

/** A pool that this host can reach. */
export type ReachedPool = LocalService | RemoteService;

/**
 * The configured pool: on this host if it runs here; with a shared Redis, otherwise on another host. Throws
 * failed_precondition if another user of the host could have put something into its directories.
 */
export async function reachPool(config: Config, notice: Notice): Promise<ReachedPool> {
  // Check this before the content is trusted: the running snapmill's lock, and the database's number.
  requireOwnPlace(config);
  if (config.redisUrl === undefined) return new LocalService(config, notice);
  const running = await findRunning(config);
  return running?.pools.includes(config.pool) === true
    ? new LocalService(config, notice)
    : new RemoteService(config, notice);
}
