// Room: snapshotter. Owns remove: a snapshot goes, and its device with the last snapshot on it.
import type { DeviceState } from "../domain/devices.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { type OperationId, ownScope, type Scope, type SnapshotKey } from "../domain/identifiers.ts";
import { type DeviceRecord, setDeviceState } from "../metadata/devices.ts";
import { forgetImagesOf } from "../metadata/images.ts";
import { dropSnapshot } from "../metadata/snapshot-changes.ts";
import { childOf, deviceUnder, findSnapshot, sharesDevice } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import { type EffectOperation, failure, type Settlement, success } from "./operations.ts";
import { forget } from "./take-down.ts";

export interface RemoveRequest {
  readonly scope: Scope;
  readonly key: SnapshotKey;
}

export function remove(context: Context, operationId: OperationId, request: RemoveRequest): EffectOperation<object> {
  const { database } = context;
  return {
    kind: "effect",
    request: { operationId, job: "remove", payload: request },
    intend() {
      const snapshot = findSnapshot(database, request.scope, request.key);
      const child = childOf(database, snapshot);
      if (child !== undefined) {
        throw failedPrecondition(
          `snapshot ${JSON.stringify(request.key)} cannot be removed while it has children: remove ${JSON.stringify(child)} first`,
        );
      }
      if (sharesDevice(database, snapshot)) {
        return async () =>
          success(() => {
            dropSnapshot(database, snapshot);
            if (snapshot.scope === ownScope) forgetImagesOf(database, snapshot.key);
            return {};
          });
      }
      const device = deviceUnder(database, snapshot);
      setDeviceState(database, device.number, "removing", operationId);
      return () => removeDevice(context, { ...device, operationId }, device.state);
    },
  };
}

async function removeDevice(
  context: Context,
  device: DeviceRecord,
  stateBefore: DeviceState,
): Promise<Settlement<object>> {
  const { database, driver, reach } = context;
  reach("remove.intended");
  try {
    await driver.deactivate(device);
  } catch (error) {
    // In use, most likely: the snapshot stays as it was.
    return failure(error, () => setDeviceState(database, device.number, stateBefore));
  }
  reach("remove.deactivated");
  try {
    await driver.delete(device);
  } catch (error) {
    // There is no way back. The device stays `removing`, in the name of this operation: the same one tried again,
    // another remove, cleanup or the next start finishes it.
    return { ...failure(error), intentStands: true };
  }
  reach("remove.deleted");
  return success(() => {
    forget(context, device);
    return {};
  });
}
