// Room: snapshotter. Owns checkpoint: what an active snapshot holds now gets a name, and the active one goes on above it.
import type { OperationId } from "../domain/identifiers.ts";
import { checkLabels, labelNames } from "../domain/snapshots.ts";
import { withoutEmpty } from "../domain/update-mask.ts";
import type { RequestOf } from "../jobs/contract.ts";
import { type DeviceRecord, insertDevice, setDeviceState } from "../metadata/devices.ts";
import { commitSnapshot, insertSnapshot } from "../metadata/snapshot-changes.ts";
import type { SnapshotRecord } from "../metadata/snapshots.ts";
import { activeToCommit } from "./commit.ts";
import type { Context } from "./context.ts";
import { recordTakenBack, takeBack } from "./device-removal.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";

type CheckpointRequest = RequestOf<"checkpoint">;

interface Checkpoint {
  readonly request: CheckpointRequest;
  readonly snapshot: SnapshotRecord;
  /** The active snapshot's, which stays its own. */
  readonly device: DeviceRecord;
  /** The committed snapshot's. */
  readonly copy: DeviceRecord;
}

/**
 * Checks what commit checks, in its order. Processes that have the active snapshot mounted go on writing to the same
 * device: the committed snapshot gets a copy of it, and the active one the committed as its parent.
 */
export function checkpoint(
  context: Context,
  request: CheckpointRequest,
  operationId: OperationId,
): EffectSteps<object> {
  return {
    kind: "effect",
    intend() {
      const { snapshot, device } = activeToCommit(context, request);
      checkLabels(request.keyLabels ?? {});
      const { fsType, sizeBytes } = device;
      const copy = insertDevice(context.database, { fsType, sizeBytes, operationId });
      return () => copyNow(context, { request, snapshot, device, copy });
    },
  };
}

async function copyNow(context: Context, taken: Checkpoint): Promise<Settlement<object>> {
  const { driver, reach } = context;
  const { device, copy } = taken;
  reach("checkpoint.intended");
  let usedBytes: number;
  try {
    await driver.checkpoint(device, copy);
    reach("checkpoint.copied");
    usedBytes = await driver.usedBytes(copy);
  } catch (error) {
    // Nothing of the active snapshot has changed.
    const gone = await takeBack(context, copy);
    return failure(error, () => recordTakenBack(context, copy, gone));
  }
  return success(() => record(context, taken, usedBytes));
}

/**
 * The record itself becomes the committed snapshot's, and the active one gets another: a parent always has a smaller number
 * than its children, by which layers are removed in order.
 */
function record({ database }: Context, { request, snapshot, device, copy }: Checkpoint, usedBytes: number): object {
  const { scope, key, name, labels, keyLabels = snapshot.labels } = request;
  const own = { [labelNames.fsType]: device.fsType };
  const committed = { name, deviceNumber: copy.number, usedBytes, labels: { ...withoutEmpty(labels), ...own } };
  commitSnapshot(database, snapshot, committed);
  setDeviceState(database, copy.number, "deactivated");
  insertSnapshot(database, {
    scope,
    key,
    kind: "active",
    parentNumber: snapshot.number,
    deviceNumber: device.number,
    labels: { ...withoutEmpty(keyLabels), ...own },
    createdAtMs: snapshot.createdAtMs,
  });
  return {};
}
