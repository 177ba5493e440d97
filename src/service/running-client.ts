// Room: service. Owns the way to a running snapmill's queue, for commands that change something.
import { type Config, redisUrl } from "../config.ts";
import { unavailable } from "../domain/errors.ts";
import { redisLabel } from "../jobs/redis/url.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import { lastTakeOver } from "../metadata/pool.ts";
import { findRunning } from "../supervisor/running.ts";
import { requirePool } from "../supervisor/served-pools.ts";
import { readStoreIfAny } from "./store.ts";

/** Told, as a sentence, what a caller waits for. */
export type Notice = (sentence: string) => void;

/** How long a command waits for a Redis that is away: `up` has a private one back in a second or two. */
const outageMs = 15_000;

/** Operations, and the connection itself, survive a short outage of Redis: a retry is the same operation. */
export async function connectPatiently(config: Config, notice: Notice, signal?: AbortSignal): Promise<JobClient> {
  const url = redisUrl(config);
  const onOutage = () =>
    notice(`Redis at ${redisLabel(url)} does not answer; waiting up to ${outageMs / 1000} s for it`);
  const { JobClient } = await import("../jobs/requests/client.ts");
  const patience = { outageMs, onOutage };
  const database = knownNumber(config);
  return await JobClient.connect({ redisUrl: url, pool: config.pool, database, patience }, signal);
}

/** The queue's library is loaded only here: it takes longer than a read does in all. */
export async function connect(config: Config): Promise<JobClient> {
  const { JobClient } = await import("../jobs/requests/client.ts");
  return await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool, database: knownNumber(config) });
}

/** Of the database in the state directory: what is asked here is meant for no other. */
export function knownNumber(config: Config): number | undefined {
  return readStoreIfAny(config, lastTakeOver)?.owner;
}

/** Throws unavailable, and failed_precondition when what runs has another pool. */
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
