// Room: service. Owns providing a snapmill for an operation: the running one, or services that run for its duration.
import { setTimeout as delay } from "node:timers/promises";
import { ofNoBatch } from "../metadata/batch-items.ts";
import { pendingOutbox } from "../metadata/outbox.ts";
import { unpackHold } from "../metadata/queue-holds.ts";
import type { LocalClient } from "./local-client.ts";

/**
 * Runs `action` on the snapmill that runs for the state directory of `own`, of which it disposes at the end. If there is
 * none, starts services for the action and stops them afterwards, even if it fails; such actions take turns. `signal`
 * cancels the wait and the start, with its reason; the action must listen to it itself.
 */
export async function whileRunning<Own extends LocalClient, T>(
  own: Own,
  signal: AbortSignal,
  action: (service: Own) => Promise<T>,
): Promise<T> {
  const run = async (whose: "ours" | "another's"): Promise<T> => {
    await using service = own;
    await service.client(signal);
    const answer = await action(service);
    if (whose === "ours") await untilSettled(service, signal);
    return answer;
  };
  // Beside an `up`, what starts services is not loaded.
  if ((await own.running())?.kind === "up") return await run("another's");
  const { withServices } = await import("../supervisor/services.ts");
  return await withServices(own.config, run, { signal });
}

const settledPollMs = 100;

/**
 * Before the services stop, waits for unpacks that an earlier, killed command had accepted; not for the pool's batches,
 * which may take hours.
 */
async function untilSettled(service: LocalClient, signal: AbortSignal): Promise<void> {
  const client = await service.client();
  while (!signal.aborted) {
    const database = service.database();
    // They wait for the end of the hold, which may be days away.
    if (unpackHold(database) !== undefined) return;
    const pending = pendingOutbox(database, "unpack").map(({ operationId }) => operationId);
    const accepted = ofNoBatch(database, pending);
    if (!(await client.willBeSettled(accepted))) return;
    await delay(settledPollMs);
  }
  signal.throwIfAborted();
}
