// Room: supervisor. Owns one pool of a snapmill that serves several: it is started again when it could not go on, and
// never ends the others.
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Reader } from "../config/setting.ts";
import type { Config } from "../config.ts";
import { type Backoff, pauseAfterMs } from "../domain/backoff.ts";
import { AbortReason, Canceller, untilAborted } from "../domain/cancellation.ts";
import { asSnapmillError, type SnapmillError } from "../domain/errors.ts";
import { formatDuration } from "../domain/units.ts";
import type { Left } from "../system/process/processes.ts";
import { PoolServices } from "./pool-services.ts";
import { startTotals } from "./totals.ts";

/** A pool that cannot start is tried again: its device may be attached later, its name set free. */
const backoff: Backoff = { firstMs: 2_000, capMs: 5 * 60_000 };

const everyReader: ReadonlySet<Reader> = new Set(["pool", "unpack", "grpc"]);

/** Throws why the pool may not be started. */
type Permission = (config: Config, signal: AbortSignal) => Promise<void>;

export class ServedPool {
  /** What the children have observed, those that have ended included. */
  readonly observed = startTotals();
  readonly #log: Logger;
  readonly #isAlone: boolean;
  readonly #mayStart: Permission;
  readonly #stopping = new Canceller();
  readonly #first = Promise.withResolvers<SnapmillError | undefined>();
  readonly #left: Left[] = [];
  #config: Config;
  #services: PoolServices;
  #trouble: string | undefined;
  #kept: Promise<void> = Promise.resolve();

  /** `isAlone`: the only pool; then its failure is the whole snapmill's. */
  constructor(config: Config, log: Logger, isAlone: boolean, mayStart: Permission) {
    this.#config = config;
    this.#log = log;
    this.#isAlone = isAlone;
    this.#mayStart = mayStart;
    this.#services = this.#build();
  }

  get config(): Config {
    return this.#config;
  }

  get services(): PoolServices {
    return this.#services;
  }

  /** Why the pool is not served at the moment; undefined: it is, or is about to be. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Rejects when the only pool cannot go on; never resolves. */
  get failed(): Promise<never> {
    return this.#isAlone ? this.#services.failed : new Promise<never>(() => undefined);
  }

  /** Resolves once it runs; or, with other pools beside it, with why it does not. Throws that if it is alone. */
  async start(): Promise<SnapmillError | undefined> {
    if (this.#isAlone) {
      await this.#services.start();
      return undefined;
    }
    this.#kept = this.#keep();
    return await this.#first.promise;
  }

  /**
   * Serves the pool with `next` from now on, of which `readers` read what has changed. Throws why that does not work; then
   * it is served as before. A pool that is not served takes it with its next attempt.
   */
  async reload(next: Config, readers: ReadonlySet<Reader>): Promise<void> {
    if (this.#trouble === undefined) await this.#services.reload(next, readers);
    this.#config = next;
  }

  /** Returns the processes that did not end. */
  async stop(): Promise<readonly Left[]> {
    this.#stopping.cancel(new AbortReason("stopping", `pool ${this.#config.pool} is being stopped`));
    this.#left.push(...(await this.#services.stop()));
    await this.#kept;
    return this.#left;
  }

  #build(): PoolServices {
    const label = this.#isAlone ? "" : ` of pool ${this.#config.pool}`;
    return new PoolServices(this.#config, { log: this.#log, totals: this.observed, label });
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 1; !signal.aborted; failures += 1) {
      const startedMs = performance.now();
      const failure = await this.#live(signal);
      if (signal.aborted) break;
      if (performance.now() - startedMs > backoff.capMs) failures = 1;
      const pauseMs = pauseAfterMs(backoff, failures);
      this.#trouble = `pool ${this.#config.pool} is not served: ${failure.message}`;
      this.#log.error({ code: failure.code }, `${this.#trouble}; trying again in ${formatDuration(pauseMs)}`);
      this.#first.resolve(failure);
      this.#left.push(...(await this.#services.stop()));
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) this.#services = this.#build();
    }
    this.#first.resolve(undefined);
  }

  /** Serves the pool until it cannot go on, and returns why. */
  async #live(signal: AbortSignal): Promise<SnapmillError> {
    const services = this.#services;
    try {
      await this.#mayStart(this.#config, signal);
      await services.start();
      // It has changed since this attempt began.
      if (services.config !== this.#config) await services.reload(this.#config, everyReader);
      if (this.#trouble !== undefined) this.#log.info(`pool ${this.#config.pool} is served again`);
      this.#trouble = undefined;
      this.#first.resolve(undefined);
      return await Promise.race([services.failed, untilAborted(signal)]);
    } catch (error) {
      return asSnapmillError(error);
    }
  }
}
