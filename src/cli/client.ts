// Room: cli. Owns the way to a running snapmill's queue, for commands that change something.
import { type Config, redisUrl } from "../config.ts";
import { unavailable } from "../domain/errors.ts";
import { JobClient } from "../jobs/client.ts";
import { findRunning } from "../supervisor/running.ts";

/** Has `action` talk to the snapmill that runs for the state directory. Throws unavailable when none does. */
export async function withClient<T>(config: Config, action: (client: JobClient) => Promise<T>): Promise<T> {
  await requireRunning(config);
  await using client = await connect(config);
  return await action(client);
}

export const connect = (config: Config): Promise<JobClient> =>
  JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });

export async function requireRunning(config: Config): Promise<void> {
  if ((await findRunning(config)) !== undefined) return;
  const { stateDir } = config;
  throw unavailable(
    `no snapmill runs for state directory ${stateDir}: start one with 'snapmill up --state-dir ${stateDir}'`,
  );
}
