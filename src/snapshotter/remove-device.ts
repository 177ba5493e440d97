// Room: snapshotter. Owns remove-device: it deletes the device of a removed snapshot, and is retried until it has.
import { asSnapmillError, isSnapmillError, unavailable } from "../domain/errors.ts";
import { deviceNumber, type OperationId } from "../domain/identifiers.ts";
import type { RequestOf } from "../jobs/contract.ts";
import { type DeviceRecord, findDevice } from "../metadata/devices.ts";
import { dropFromOutbox } from "../metadata/outbox.ts";
import { isDiscarded, noteMappedBytes } from "../metadata/pending-removals.ts";
import { snapshotsOn } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import { forget, keepInUse } from "./device-removal.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";

type RemoveDeviceRequest = RequestOf<"remove-device">;

/**
 * Deletes a device that is to be removed. If it is gone already, or back in use with its snapshot, there is nothing to do,
 * and the job succeeds. Every failure is retryable (`unavailable`, `aborted`): the job queue tries again later, and no
 * other operation waits for that.
 */
export function removeDevice(
  context: Context,
  request: RemoveDeviceRequest,
  operationId: OperationId,
): EffectSteps<object> {
  const { database } = context;
  return {
    kind: "effect",
    intend() {
      // Not an answer for good: it is tried again once it is asked for.
      if (isDiscarded(database, request.device)) throw unavailable(`the removal of ${request.device} was discarded`);
      const device = findDoomed(context, request);
      if (device !== undefined) return () => deleteDoomed(context, operationId, device);
      return async () =>
        success(() => {
          dropFromOutbox(database, operationId);
          return {};
        });
    },
  };
}

function findDoomed({ database, pool }: Context, { device: name }: RemoveDeviceRequest): DeviceRecord | undefined {
  const number = deviceNumber(pool, name);
  const device = number === undefined ? undefined : findDevice(database, number);
  return device?.state === "removing" || device?.state === "removed" ? device : undefined;
}

async function deleteDoomed(
  context: Context,
  operationId: OperationId,
  device: DeviceRecord,
): Promise<Settlement<object>> {
  const { database, driver, reach } = context;
  reach("remove-device.intended");
  try {
    await driver.deactivate(device);
    reach("remove-device.deactivated");
    await driver.delete(device);
  } catch (error) {
    const isWanted = isSnapmillError(error, "failed_precondition") && snapshotsOn(database, device.number).length > 0;
    if (!isWanted) {
      const usedBytes = await driver.usedBytes(device).catch(() => undefined);
      return failure(asRetryable(device, error), () => noteMappedBytes(database, operationId, usedBytes));
    }
    return success(() => {
      keepInUse(context, device);
      return {};
    });
  }
  reach("remove-device.deleted");
  return success(() => {
    forget(context, device);
    dropFromOutbox(database, operationId);
    return {};
  });
}

function asRetryable({ deviceName }: DeviceRecord, error: unknown): unknown {
  if (isSnapmillError(error, "deadline_exceeded")) return error;
  const { message } = asSnapmillError(error);
  return unavailable(`device ${deviceName} cannot be removed yet: ${message}`, error);
}
