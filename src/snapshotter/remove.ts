// Room: snapshotter. Owns remove: a snapshot is removed, and with the last snapshot of a device the device, at once or later.
import type { DeviceState } from "../domain/devices.ts";
import { failedPrecondition, isRetryable, isSnapmillError } from "../domain/errors.ts";
import { type OperationId, ownScope } from "../domain/identifiers.ts";
import type { RequestOf } from "../jobs/contract.ts";
import { type DeviceRecord, setDeviceState } from "../metadata/devices.ts";
import { forgetImagesOf } from "../metadata/images.ts";
import { dropSnapshot } from "../metadata/snapshot-changes.ts";
import { childOf, deviceUnder, findSnapshot, type SnapshotRecord, sharesDevice } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import { forget, leaveToJob, removedSnapshot } from "./device-removal.ts";
import { type Act, failure, type Settlement, type Steps, success } from "./operations.ts";
import { requireUnpinned } from "./pin-images.ts";

type RemoveRequest = RequestOf<"remove">;

/**
 * Removes a snapshot. With `asyncRemove`, the snapshot is gone with the answer, and a job deletes its device. Otherwise
 * both are gone with the answer; a device in use is failed_precondition, and nothing changes.
 */
export function remove(context: Context, request: RemoveRequest, operationId: OperationId): Steps<object> {
  return context.asyncRemove
    ? { kind: "metadata", apply: () => removeLater(context, removable(context, request)) }
    : { kind: "effect", intend: () => removeNow(context, operationId, removable(context, request)) };
}

function removable({ database }: Context, { scope, key }: RemoveRequest): SnapshotRecord {
  const snapshot = findSnapshot(database, scope, key);
  const child = childOf(database, snapshot);
  if (child === undefined) {
    requireUnpinned(database, snapshot);
    return snapshot;
  }
  throw failedPrecondition(
    `snapshot ${JSON.stringify(key)} cannot be removed while it has children: remove ${JSON.stringify(child)} first`,
  );
}

function removeLater(context: Context, snapshot: SnapshotRecord): object {
  const { database } = context;
  const isShared = sharesDevice(database, snapshot);
  const device = deviceUnder(database, snapshot);
  const record = removedSnapshot(database, snapshot);
  dropRecord(context, snapshot);
  if (!isShared) {
    // If an earlier removal was interrupted, the device keeps its operation ID: that one is settled when the device is gone.
    setDeviceState(database, device.number, "removed", device.operationId);
    leaveToJob(context, device, record);
  }
  return {};
}

function removeNow(context: Context, operationId: OperationId, snapshot: SnapshotRecord): Act<object> {
  const { database } = context;
  if (sharesDevice(database, snapshot)) {
    return async () =>
      success(() => {
        dropRecord(context, snapshot);
        return {};
      });
  }
  const device = deviceUnder(database, snapshot);
  setDeviceState(database, device.number, "removing", operationId);
  return () => removeDevice(context, { ...device, operationId }, { stateBefore: device.state, snapshot });
}

function dropRecord({ database }: Context, snapshot: SnapshotRecord): void {
  dropSnapshot(database, snapshot);
  if (snapshot.scope === ownScope) forgetImagesOf(database, snapshot.key);
}

async function removeDevice(
  context: Context,
  device: DeviceRecord,
  { stateBefore, snapshot }: { readonly stateBefore: DeviceState; readonly snapshot: SnapshotRecord },
): Promise<Settlement<object>> {
  const { database, driver, reach } = context;
  reach("remove.intended");
  try {
    await driver.deactivate(device);
  } catch (error) {
    // Most likely it is in use: the snapshot stays as it was.
    return failure(error, () => setDeviceState(database, device.number, stateBefore));
  }
  reach("remove.deactivated");
  try {
    await driver.delete(device);
  } catch (error) {
    // This cannot be undone. The device stays `removing`, with this operation's ID, until a repetition, another remove, the
    // job, cleanup or the next start finishes it.
    const leave = () => leaveToJob(context, device, removedSnapshot(database, snapshot));
    return { ...failure(undeleted(device, error), leave), intentStands: true };
  }
  reach("remove.deleted");
  return success(() => {
    forget(context, device);
    return {};
  });
}

/** containerd's garbage collector goes on with the next snapshot after this code, and stops after others. */
function undeleted(device: DeviceRecord, error: unknown): unknown {
  if (isSnapmillError(error, "deadline_exceeded") || (isSnapmillError(error) && isRetryable(error.code))) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return failedPrecondition(
    `device ${device.deviceName} could not be deleted, and a job keeps trying: ${reason}`,
    error,
  );
}
