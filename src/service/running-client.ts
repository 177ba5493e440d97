// Room: service. Owns the way to a running snapmill's queue, for commands that change something.
import { type Config, redisUrl } from "../config.ts";
import { failedPrecondition, unavailable } from "../domain/errors.ts";
import type { JobClient } from "../jobs/client.ts";
import { redisLabel } from "../jobs/redis-url.ts";
import { findRunning } from "../supervisor/running.ts";

/** Has `action` talk to the snapmill that runs for the state directory. Throws unavailable when none does. */
export async function withClient<T>(
  config: Config,
  notice: Notice,
  action: (client: JobClient) => Promise<T>,
): Promise<T> {
  await requireRunning(config);
  await using client = await connectPatiently(config, notice);
  return await action(client);
}

/** Told, as a sentence, what a caller waits for. */
export type Notice = (sentence: string) => void;

/** How long a command bears with a Redis that is away: `up` has a private one back in a second or two. */
const outageMs = 15_000;

/** Every operation, and the way to it, rides out a short outage of Redis: asked for again, it is the same operation. */
export async function connectPatiently(config: Config, notice: Notice, signal?: AbortSignal): Promise<JobClient> {
  const url = redisUrl(config);
  const onOutage = () =>
    notice(`Redis at ${redisLabel(url)} does not answer; waiting up to ${outageMs / 1000} s for it`);
  const { JobClient } = await import("../jobs/client.ts");
  return await JobClient.connect({ redisUrl: url, pool: config.pool, patience: { outageMs, onOutage } }, signal);
}

/** The queue's library is loaded only here: it takes longer than a read does in all. */
export async function connect(config: Config): Promise<JobClient> {
  const { JobClient } = await import("../jobs/client.ts");
  return await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
}

/** Throws unavailable, and failed_precondition when what runs has another pool. */
export async function requireRunning(config: Config): Promise<void> {
  const { stateDir, pool } = config;
  const running = await findRunning(config);
  if (running === undefined) {
    throw unavailable(
      `no snapmill runs for state directory ${stateDir}: start one with 'snapmill up --state-dir ${stateDir}'`,
    );
  }
  if (running.pool !== pool) {
    throw failedPrecondition(
      `the snapmill that runs for state directory ${stateDir} has pool ${running.pool}, not ${pool}: use --pool`,
    );
  }
}
