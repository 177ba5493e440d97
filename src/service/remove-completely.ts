// Room: service. Owns the removal of a snapshot with the wait for its device: until the space is free again.
import { setTimeout as delay } from "node:timers/promises";
import { failedPrecondition } from "../domain/errors.ts";
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import { jobs } from "../jobs/contract.ts";
import { type Database, readConsistently } from "../metadata/database.ts";
import { journaledOperation } from "../metadata/journal.ts";
import { type RemovalRecord, removalRecords } from "../metadata/pending-removals.ts";
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
  { input: remove.input, output: jobs.remove.result, recovery: "repeated" },
  async ({ database, change }: Pick<Service, "database" | "change">, { scope, key }, options: CallOptions = {}) => {
    const isAwaited = awaitedRemoval(database(), scope, key, options);
    await change("remove", { scope, key }, options);
    for (;;) {
      const removal = removalRecords(database()).find(isAwaited);
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

/** A repetition finds its snapshot gone, and waits for the device that it had. */
const awaitedRemoval = (database: Database, scope: Scope, key: SnapshotKey, { operationId }: CallOptions) =>
  readConsistently(database, (): ((record: RemovalRecord) => boolean) => {
    if (operationId !== undefined && journaledOperation(database, operationId) !== undefined) {
      return (record) => record.scope === scope && record.key === key;
    }
    const snapshot = findSnapshot(database, scope, key);
    if (sharesDevice(database, snapshot)) return () => false;
    const { deviceName } = deviceUnder(database, snapshot);
    return (record) => record.device === deviceName;
  });
