// Room: snapshotter. Owns checkpoint: what an active snapshot holds now gets a name, and the active one goes on above it.
import type { OperationId, SnapshotKey } from "../domain/identifiers.ts";
import { checkLabels, type Labels, labelNames } from "../domain/snapshots.ts";
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

/** The active snapshot of which something is committed. */
export interface Origin {
  readonly snapshot: SnapshotRecord;
  /** It stays its own. */
  readonly device: DeviceRecord;
  /** Default: those that it has. */
  readonly keyLabels: Labels | undefined;
}

/** What becomes a committed snapshot. */
export interface Copied {
  readonly name: SnapshotKey;
  readonly labels: Labels;
  readonly copy: DeviceRecord;
  readonly usedBytes: number;
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
      return () => copyNow(context, { snapshot, device, keyLabels: request.keyLabels }, { ...request, copy });
    },
  };
}

async function copyNow(
  context: Context,
  origin: Origin,
  { name, labels, copy }: Omit<Copied, "usedBytes">,
): Promise<Settlement<object>> {
  const { driver, reach } = context;
  reach("checkpoint.intended");
  let usedBytes: number;
  try {
    await driver.checkpoint(origin.device, copy);
    reach("checkpoint.copied");
    usedBytes = await driver.usedBytes(copy);
  } catch (error) {
    // Nothing of the active snapshot has changed.
    const gone = await takeBack(context, copy);
    return failure(error, () => recordTakenBack(context, copy, gone));
  }
  return success(() => recordCopies(context, origin, [{ name, labels, copy, usedBytes }]));
}

/**
 * Each copy becomes a committed snapshot above the one before it, and the active snapshot goes on above the last. The
 * active one's record becomes the first one's, and it gets another: a parent always has a smaller number than its
 * children, by which layers are removed in order.
 */
export function recordCopies(
  { database }: Context,
  { snapshot, device, keyLabels = snapshot.labels }: Origin,
  copies: readonly Copied[],
): object {
  const { scope, key } = snapshot;
  const own = { [labelNames.fsType]: device.fsType };
  let parentNumber: number | undefined;
  for (const { name, labels: given, copy, usedBytes } of copies) {
    const labels = { ...withoutEmpty(given), ...own };
    const deviceNumber = copy.number;
    if (parentNumber === undefined) {
      commitSnapshot(database, snapshot, { name, deviceNumber, usedBytes, labels });
      parentNumber = snapshot.number;
    } else {
      const committed = { scope, key: name, kind: "committed", parentNumber, deviceNumber, usedBytes, labels } as const;
      parentNumber = insertSnapshot(database, committed);
    }
    setDeviceState(database, copy.number, "deactivated");
  }
  insertSnapshot(database, {
    scope,
    key,
    kind: "active",
    parentNumber,
    deviceNumber: device.number,
    labels: { ...withoutEmpty(keyLabels), ...own },
    createdAtMs: snapshot.createdAtMs,
  });
  return {};
}
