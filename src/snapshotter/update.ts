// Room: snapshotter. Owns update: the labels of a snapshot change.
import type { OperationId, Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Labels, Snapshot } from "../domain/snapshots.ts";
import { updateLabels } from "../domain/update-mask.ts";
import { replaceLabels } from "../metadata/snapshot-changes.ts";
import { findSnapshot } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import type { MetadataOperation } from "./operations.ts";

export interface UpdateRequest {
  readonly scope: Scope;
  readonly key: SnapshotKey;
  readonly labels: Labels;
  /** See domain/update-mask.ts. */
  readonly fieldPaths: readonly string[];
}

export function update(
  { database }: Context,
  operationId: OperationId,
  request: UpdateRequest,
): MetadataOperation<Snapshot> {
  return {
    kind: "metadata",
    request: { operationId, job: "update", payload: request },
    apply() {
      const snapshot = findSnapshot(database, request.scope, request.key);
      const labels = updateLabels(snapshot.labels, request.labels, request.fieldPaths);
      const updatedAtMs = replaceLabels(database, snapshot, labels);
      const { scope, key, kind, parent, createdAtMs } = snapshot;
      return { scope, key, kind, parent, labels, createdAtMs, updatedAtMs };
    },
  };
}
