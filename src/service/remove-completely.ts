// Room: service. Owns the removal of a snapshot with the wait for its device: until the space is free again.
import { setTimeout as delay } from "node:timers/promises";
import { failedPrecondition } from "../domain/errors.ts";
import { jobs } from "../jobs/contract.ts";
import { readConsistently } from "../metadata/database.ts";
import { removalRecords } from "../metadata/pending-removals.ts";
import { deviceUnder, findSnapshot, sharesDevice } from "../metadata/snapshots.ts";
import { operation } from "./operation.ts";
import type { CallOptions, Service } from "./service.ts";
import { remove } from "./snapshots.ts";

const pollMs = 100;

/**
 * Removes a snapshot, and returns once its device is gone from the pool as well, or stays with other snapshots. Throws
 * failed_precondition if the removal of the device is given up, and the reason of `signal`; the snapshot is gone then.
 */
export const removeCompletely = operation(
  { input: remove.input, output: jobs.remove.result },
  async ({ database, change }: Pick<Service, "database" | "change">, { scope, key }, options: CallOptions = {}) => {
    const device = readConsistently(database(), () => {
      const snapshot = findSnapshot(database(), scope, key);
      return sharesDevice(database(), snapshot) ? undefined : deviceUnder(database(), snapshot).deviceName;
    });
    await change("remove", { scope, key }, options);
    for (;;) {
      const removal = removalRecords(database()).find((record) => record.device === device);
      if (removal === undefined) return {};
      if ((removal.givenUpAtMs ?? removal.discardedAtMs) !== null) {
        throw failedPrecondition(
          `snapshot ${JSON.stringify(key)} is removed, but the removal of its device was given up: ` +
            `${removal.lastError ?? removal.discardReason ?? ""}; then 'snapmill removals retry ${removal.device}'`,
        );
      }
      options.signal?.throwIfAborted();
      await delay(pollMs, undefined, { signal: options.signal }).catch(() => undefined);
      options.signal?.throwIfAborted();
    }
  },
);
