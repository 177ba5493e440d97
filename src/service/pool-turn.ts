// Room: service. Owns the choice of the process that works on a whole pool: its worker, or a separate one if none runs.
import { untilAborted } from "../domain/cancellation.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { describeRunning } from "../domain/running.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import { claim, findRunning } from "../supervisor/running.ts";
import { connectPatiently } from "./running-client.ts";
import type { PoolService } from "./service.ts";

export interface PoolTurn<T> {
  readonly byWorker: (client: JobClient) => Promise<T>;
  /** Called if no snapmill serves the pool; none can start for the state directory until it returns. */
  readonly byProcess: () => Promise<T>;
  /** Ends the wait for the worker; `byProcess` must listen to it itself. */
  readonly signal: AbortSignal;
}

/** Throws the reason of `signal` once that is aborted. */
export async function takePoolTurn<T>(
  { config, notice }: PoolService,
  { byWorker, byProcess, signal }: PoolTurn<T>,
): Promise<T> {
  const running = await findRunning(config);
  if (running?.pools.includes(config.pool) === true) {
    await using client = await connectPatiently(config, notice, { signal });
    return await Promise.race([byWorker(client), untilAborted(signal)]);
  }
  if (running !== undefined) return await byProcess();
  const claimed = await claim(config, "command", notice);
  if (claimed.kind === "held") throw failedPrecondition(`${describeRunning(claimed.by)} has just started: try again`);
  using _ours = claimed.lock;
  return await byProcess();
}
