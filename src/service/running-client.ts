// Room: service. Owns connections to the queue of a running snapmill.
import { type Config, redisUrl } from "../config.ts";
import { unavailable } from "../domain/errors.ts";
import { redisLabel } from "../jobs/redis/url.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import { lastTakeOver } from "../metadata/pool.ts";
import { findRunning } from "../supervisor/running.ts";
import { requirePool } from "../supervisor/served-pools.ts";
import { readStoreIfAny } from "./store.ts";

/** Receives sentences about what a command waits for. */
export type Notice = (sentence: string) => void;

/** How long a command waits for Redis to come back: `up` restarts a private one within a second or two. */
const outageMs = 15_000;

interface Patience {
  /** Ends the wait for Redis. */
  readonly signal?: AbortSignal | undefined;
  /** The number of the database in the state directory, for a caller who has it open. */
  readonly database?: number | undefined;
}

/** A client that survives short outages of Redis, even while it connects: a retry is the same operation. */
export async function connectPatiently(
  config: Config,
  notice: Notice,
  { signal, database = knownNumber(config) }: Patience = {},
): Promise<JobClient> {
  const url = redisUrl(config);
  const onOutage = () =>
    notice(`Redis at ${redisLabel(url)} does not answer; waiting up to ${outageMs / 1000} s for it`);
  const { JobClient } = await import("../jobs/requests/client.ts");
  const patience = { outageMs, onOutage };
  return await JobClient.connect({ redisUrl: url, pool: config.pool, database, patience }, signal);
}

/** Loads the queue's library only here: that takes longer than a whole read. */
export async function connect(config: Config): Promise<JobClient> {
  const { JobClient } = await import("../jobs/requests/client.ts");
  return await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool, database: knownNumber(config) });
}

/** The number of the database in the state directory: jobs are meant for that database only. */
export function knownNumber(config: Config): number | undefined {
  return readStoreIfAny(config, lastTakeOver)?.owner;
}

/** Throws unavailable if no snapmill runs, failed_precondition if it serves another pool. */
export async function requireRunning(config: Config): Promise<void> {
  const { stateDir } = config;
  const running = await findRunning(config);
  if (running === undefined) {
    throw unavailable(
      `no snapmill runs for state directory ${stateDir}: start one with 'snapmill up --state-dir ${stateDir}'`,
    );
  }
  await requirePool(config, running);
}
