// Room: service. Owns providing a snapmill for an operation: the running one, or services that run for its duration.
import { setTimeout as delay } from "node:timers/promises";
import type { Config } from "../config.ts";
import { ofNoBatch } from "../metadata/batch-items.ts";
import { pendingOutbox } from "../metadata/outbox.ts";
import { unpackHold } from "../metadata/queue-holds.ts";
import { requireOwnPlace } from "../supervisor/directories.ts";
import { LocalService } from "./local-service.ts";
import type { Notice } from "./running-client.ts";

export interface Occasion {
  /** Receives sentences about what the operation waits for. */
  readonly notice: Notice;
  /** Cancels the wait and the start, with its reason; the action must listen to it itself. */
  readonly signal: AbortSignal;
}

/**
 * Runs `action` on the snapmill that runs for the state directory. If there is none, starts services for the action and
 * stops them afterwards, even if it fails; such actions take turns.
 */
export async function whileRunning<T>(
  config: Config,
  { notice, signal }: Occasion,
  action: (service: LocalService) => Promise<T>,
): Promise<T> {
  const { withServices } = await import("../supervisor/services.ts");
  requireOwnPlace(config);
  const run = async (whose: "ours" | "another's"): Promise<T> => {
    await using service = new LocalService(config, notice);
    await service.client(signal);
    const answer = await action(service);
    if (whose === "ours") await untilSettled(service, signal);
    return answer;
  };
  return await withServices(config, run, { signal });
}

const settledPollMs = 100;

/**
 * Before the services stop, waits for unpacks that an earlier, killed command had accepted; not for the pool's batches,
 * which may take hours.
 */
async function untilSettled(service: LocalService, signal: AbortSignal): Promise<void> {
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
