// Room: snapshotter. Owns update: it changes the labels of a snapshot.
import type { Snapshot } from "../domain/snapshots.ts";
import { updateLabels } from "../domain/update-mask.ts";
import type { RequestOf } from "../jobs/contract.ts";
import { replaceLabels } from "../metadata/snapshot-changes.ts";
import { findSnapshot } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** `fieldPaths` choose which labels change: see domain/update-mask.ts. */
export const update = ({ database }: Context, request: RequestOf<"update">): MetadataSteps<Snapshot> => ({
  kind: "metadata",
  apply() {
    const snapshot = findSnapshot(database, request.scope, request.key);
    const labels = updateLabels(snapshot.labels, request.labels, request.fieldPaths);
    const updatedAtMs = replaceLabels(database, snapshot, labels);
    const { scope, key, kind, parent, createdAtMs } = snapshot;
    return { scope, key, kind, parent, labels, createdAtMs, updatedAtMs };
  },
});
