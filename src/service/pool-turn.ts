// Room: service. Owns who works on a whole pool: its worker, or where none runs, a process of its own.
import { untilAborted } from "../domain/cancellation.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { describeRunning } from "../domain/running.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import { claim, findRunning } from "../supervisor/running.ts";
import type { LocalService } from "./local-service.ts";
import { connectPatiently } from "./running-client.ts";

export interface PoolTurn<T> {
  readonly byWorker: (client: JobClient) => Promise<T>;
  /** Called while no snapmill serves the pool; none starts for the state directory until it is done. */
  readonly byProcess: () => Promise<T>;
  /** Ends the waiting for the worker; `byProcess` must listen to it by itself. */
  readonly signal: AbortSignal;
}

/** Throws the reason of `signal` once that is aborted. */
export async function takePoolTurn<T>(
  { config, notice }: LocalService,
  { byWorker, byProcess, signal }: PoolTurn<T>,
): Promise<T> {
  const running = await findRunning(config);
  if (running?.pool === config.pool) {
    await using client = await connectPatiently(config, notice, signal);
    return await Promise.race([byWorker(client), untilAborted(signal)]);
  }
  if (running !== undefined) return await byProcess();
  const claimed = await claim(config, "command", notice);
  if (claimed.kind === "held") throw failedPrecondition(`${describeRunning(claimed.by)} has just come up: try again`);
  using _ours = claimed.lock;
  return await byProcess();
}
