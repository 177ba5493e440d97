// Room: service. Owns retrying a removal whose device is briefly busy: its last mount is ending, or udev has it open.
import { setTimeout as delay } from "node:timers/promises";
import { isSnapmillError } from "../domain/errors.ts";

const pauseMs = 100;

/** Retries `action` while it fails with failed_precondition; after `untilMs` (performance.now), throws that error. */
export async function onceIdle(untilMs: number, action: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await action();
      return;
    } catch (error) {
      if (!isSnapmillError(error, "failed_precondition") || performance.now() > untilMs) throw error;
    }
    await delay(pauseMs);
  }
}
