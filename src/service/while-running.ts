// Room: service. Owns having a snapmill for an operation: the one that runs, or services brought up for its duration.
import { setTimeout as delay } from "node:timers/promises";
import type { Config } from "../config.ts";
import { ofNoBatch } from "../metadata/batch-items.ts";
import { pendingOutbox } from "../metadata/outbox.ts";
import { requireOwnPlace } from "../supervisor/directories.ts";
import { LocalService } from "./local-service.ts";
import type { Notice } from "./running-client.ts";

export interface Occasion {
  /** Told what is waited for. */
  readonly notice: Notice;
  /** Ends the waiting and the coming up with its reason; the action must listen to it by itself. */
  readonly signal: AbortSignal;
}

/**
 * Runs `action` on the snapmill that runs for the state directory. Where none does, services are brought up for it and
 * taken down after it, also when it fails; such actions take turns.
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
 * What an earlier command had accepted before it was killed is finished, too, before the services are taken down; not so
 * the batches of the pool, which may take hours.
 */
async function untilSettled(service: LocalService, signal: AbortSignal): Promise<void> {
  const client = await service.client();
  while (!signal.aborted) {
    const database = service.database();
    const pending = pendingOutbox(database, "unpack").map(({ operationId }) => operationId);
    const accepted = ofNoBatch(database, pending);
    if (!(await client.willBeSettled(accepted))) return;
    await delay(settledPollMs);
  }
  signal.throwIfAborted();
}
