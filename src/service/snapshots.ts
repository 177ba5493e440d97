// Room: service. Owns the operations on snapshots: reads from the database, and changes by the pool's worker.
import { z } from "zod";
import { isSnapmillError, unavailable } from "../domain/errors.ts";
import { ownScope, type Scope, type SnapshotKey } from "../domain/identifiers.ts";
import type { Mount, Snapshot, Usage } from "../domain/snapshots.ts";
import { jobs } from "../jobs/contract.ts";
import { readConsistently } from "../metadata/database.ts";
import { deviceUnder, findSnapshot, mountsOf, ownUsage, storedUsage } from "../metadata/snapshots.ts";
import { walkPages } from "../metadata/walk.ts";
import { listOperation, operation, workerOperation } from "./operation.ts";
import type { Service } from "./service.ts";

const { scope: scopeShape, key: keyShape } = jobs.remove.payload.shape;
const inScope = z.object({ scope: scopeShape.prefault(ownScope) });
const named = inScope.extend({ key: keyShape });
const snapshot = jobs.update.result;

export const stat = operation({ input: named, output: snapshot }, ({ database }, { scope, key }): Snapshot => {
  const {
    number: _number,
    deviceNumber: _device,
    parentNumber: _parent,
    usedBytes: _used,
    ...told
  } = findSnapshot(database(), scope, key);
  return told;
});

/**
 * Sorted by key; a page may be empty. `filters` as in domain/filters.ts: one of them must match; without any, all do.
 * `after`: only those behind this key.
 */
export const list = listOperation(
  {
    input: inScope.extend({ filters: z.array(z.string()).readonly().prefault([]), after: keyShape.optional() }),
    output: snapshot,
    placeOf: ({ key }) => key,
  },
  ({ database }, { scope, filters, after }): Iterable<readonly Snapshot[]> =>
    walkPages(database(), { scope, filters, after }),
);

/** How an active snapshot or a view is mounted. */
export const mounts = operation(
  { input: named, output: jobs.prepare.result },
  ({ database, devicePath }, { scope, key }): { readonly mounts: Mount[] } => ({
    mounts: mountsOf(database(), scope, key, devicePath),
  }),
);

/** What a snapshot uses beyond its parent: as measured at its commit, or read from its device. */
export const usage = operation(
  { input: named, output: z.object({ sizeBytes: z.number(), inodes: z.number() }) },
  async (service, { scope, key }): Promise<Usage> =>
    storedUsage(service.database(), scope, key) ?? (await usageNow(service, scope, key)),
);

/** Throws unavailable while the device cannot be read. */
async function usageNow({ database, usedBytes }: Service, scope: Scope, key: SnapshotKey): Promise<Usage> {
  const { found, device } = readConsistently(database(), () => {
    const record = findSnapshot(database(), scope, key);
    return { found: record, device: deviceUnder(database(), record) };
  });
  try {
    const mappedBytes = found.usedBytes ?? (await usedBytes(device));
    return ownUsage(database(), found, mappedBytes);
  } catch (error) {
    if (!isSnapmillError(error, "not_found")) throw error;
    throw unavailable(
      `the usage of ${JSON.stringify(key)} can only be read from its device, while 'snapmill up' runs`,
      error,
    );
  }
}

export const prepare = workerOperation("prepare", { scope: ownScope, labels: {} });
export const view = workerOperation("view", { scope: ownScope, labels: {} });
export const commit = workerOperation("commit", { scope: ownScope, labels: {} });
export const checkpoint = workerOperation("checkpoint", { scope: ownScope, labels: {} });
export const remove = workerOperation("remove", { scope: ownScope });
export const update = workerOperation("update");

/** Sets these labels and leaves the others unchanged; an empty value removes a label. */
export const label = operation(
  { input: named.extend({ labels: jobs.update.payload.shape.labels }), output: snapshot, recovery: "journaled" },
  (service, { scope, key, labels }, options) => {
    const fieldPaths = Object.keys(labels).map((name) => `labels.${name}`);
    return service.change("update", { scope, key, labels, fieldPaths }, options);
  },
);
