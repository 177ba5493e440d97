// Room: snapshotter. Owns commit: an active snapshot gets a name, and becomes something to build on.
import { alreadyExists, failedPrecondition } from "../domain/errors.ts";
import type { OperationId, Scope, SnapshotKey } from "../domain/identifiers.ts";
import { checkLabels, type Labels, labelNames } from "../domain/snapshots.ts";
import { withoutEmpty } from "../domain/update-mask.ts";
import { type DeviceRecord, setDeviceState } from "../metadata/devices.ts";
import {
  commitSnapshot,
  deviceUnder,
  findSnapshot,
  lookUpSnapshot,
  type SnapshotRecord,
} from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import { type EffectOperation, failure, type Settlement, success } from "./operations.ts";
import { deactivateUnlessBusy } from "./take-down.ts";

export interface CommitRequest {
  readonly scope: Scope;
  /** The new name. */
  readonly name: SnapshotKey;
  readonly key: SnapshotKey;
  /** Replace those of the active snapshot. */
  readonly labels: Labels;
}

/**
 * Checks in the order of containerd's devmapper: a missing key, a taken name, a snapshot that is not active. A mounted
 * snapshot can be committed: the name then has what was written before; its device stays active until cleanup.
 */
export function commit(context: Context, operationId: OperationId, request: CommitRequest): EffectOperation<object> {
  const { database } = context;
  return {
    kind: "effect",
    request: { operationId, job: "commit", payload: request },
    intend() {
      const snapshot = findSnapshot(database, request.scope, request.key);
      if (lookUpSnapshot(database, request.scope, request.name) !== undefined) {
        throw alreadyExists(`snapshot ${JSON.stringify(request.name)} exists already in scope ${request.scope}`);
      }
      if (snapshot.kind !== "active") {
        throw failedPrecondition(
          `snapshot ${JSON.stringify(request.key)} is ${snapshot.kind}: only an active one is committed`,
        );
      }
      checkLabels(request.labels);
      const device = deviceUnder(database, snapshot);
      if (device.state !== "activated") {
        throw failedPrecondition(
          `snapshot ${JSON.stringify(request.key)} cannot be committed: its device is ${device.state}`,
        );
      }
      setDeviceState(database, device.number, "suspending", operationId);
      return () => freeze(context, request, snapshot, device);
    },
  };
}

async function freeze(
  context: Context,
  request: CommitRequest,
  snapshot: SnapshotRecord,
  device: DeviceRecord,
): Promise<Settlement<object>> {
  const { database, driver, reach } = context;
  reach("commit.intended");
  let usedBytes: number;
  try {
    await driver.flush(device);
    reach("commit.flushed");
    usedBytes = await driver.usedBytes(device);
  } catch (error) {
    // Still active, still at its path: nothing of it has changed.
    return failure(error, () => setDeviceState(database, device.number, "activated"));
  }
  const resting = await deactivateUnlessBusy(context, device).catch(() => false);
  reach("commit.deactivated");
  return success(() => {
    const labels = { ...withoutEmpty(request.labels), [labelNames.fsType]: device.fsType };
    commitSnapshot(database, snapshot, { name: request.name, usedBytes, labels });
    // What could not be deactivated is left to cleanup: the commit itself is complete.
    setDeviceState(database, device.number, resting ? "deactivated" : "activated");
    return {};
  });
}
