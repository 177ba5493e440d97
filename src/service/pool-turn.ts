// Room: service. Owns who does a piece of work on a whole pool: its worker, or where none runs, a process of its own.
import type { Config } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import { claim, describeRunning, findRunning } from "../supervisor/running.ts";
import { connectPatiently, type Notice } from "./running-client.ts";

export interface Ways<T> {
  readonly byWorker: (client: JobClient) => Promise<T>;
  /** Called while no snapmill serves the pool; none starts for the state directory until it is done. */
  readonly byProcess: () => Promise<T>;
}

export async function takePoolTurn<T>(config: Config, notice: Notice, { byWorker, byProcess }: Ways<T>): Promise<T> {
  const running = await findRunning(config);
  if (running?.pool === config.pool) {
    await using client = await connectPatiently(config, notice);
    return await byWorker(client);
  }
  if (running !== undefined) return await byProcess();
  const claimed = await claim(config, "command", notice);
  if (claimed.kind === "held") throw failedPrecondition(`${describeRunning(claimed.by)} has just come up: try again`);
  using _ours = claimed.lock;
  return await byProcess();
}
