// Room: snapshotter. Owns commit: an active snapshot gets a name, and can become a parent.
import { alreadyExists, failedPrecondition } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { checkLabels, labelNames } from "../domain/snapshots.ts";
import { withoutEmpty } from "../domain/update-mask.ts";
import type { RequestOf } from "../jobs/contract.ts";
import { transact } from "../metadata/database.ts";
import { type DeviceRecord, insertDevice, setDeviceState } from "../metadata/devices.ts";
import { commitSnapshot } from "../metadata/snapshot-changes.ts";
import { deviceUnder, findSnapshot, lookUpSnapshot, type SnapshotRecord } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import { deactivateUnlessBusy, recordTakenBack, retire, takeBack } from "./device-removal.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";

/** `name` is the new name; `labels` replace those of the active snapshot. */
type CommitRequest = RequestOf<"commit">;

/**
 * Checks in the order of containerd's devmapper: a missing key, a taken name, a snapshot that is not active. A mounted
 * snapshot can be committed: the committed one has what was written before.
 */
export function commit(context: Context, request: CommitRequest, operationId: OperationId): EffectSteps<object> {
  const { database } = context;
  return {
    kind: "effect",
    // Without it, a power cut leaves the snapshot active and its device perhaps flushed: as if there had been no commit.
    intentMayBeLost: true,
    intend() {
      const { snapshot, device } = activeToCommit(context, request);
      setDeviceState(database, device.number, "suspending", operationId);
      return () => makeImmutable(context, request, snapshot, device);
    },
  };
}

/** The active snapshot whose content the committed one is to have. */
export function activeToCommit({ database }: Context, request: CommitRequest) {
  const { scope, key, name } = request;
  const snapshot = findSnapshot(database, scope, key);
  if (lookUpSnapshot(database, scope, name) !== undefined) {
    throw alreadyExists(`snapshot ${JSON.stringify(name)} exists already in scope ${scope}`);
  }
  if (snapshot.kind !== "active") {
    throw failedPrecondition(`snapshot ${JSON.stringify(key)} is ${snapshot.kind}: only an active one is committed`);
  }
  checkLabels(request.labels);
  const device = deviceUnder(database, snapshot);
  if (device.state !== "activated") {
    throw failedPrecondition(`snapshot ${JSON.stringify(key)} cannot be committed: its device is ${device.state}`);
  }
  return { snapshot, device };
}

async function makeImmutable(
  context: Context,
  request: CommitRequest,
  snapshot: SnapshotRecord,
  device: DeviceRecord,
): Promise<Settlement<object>> {
  const { database, driver, reach } = context;
  reach("commit.intended");
  let usedBytes: number;
  let copy: DeviceRecord | undefined;
  try {
    await driver.flush(device);
    reach("commit.flushed");
    usedBytes = await driver.usedBytes(device);
    const resting = await deactivateUnlessBusy(context, device);
    if (!resting) copy = await copyInUse(context, device);
    reach("commit.deactivated");
  } catch (error) {
    // Nothing of the snapshot has changed: it is still active, at the same path.
    return failure(error, () => setDeviceState(database, device.number, "activated"));
  }
  return success(() => {
    const labels = { ...withoutEmpty(request.labels), [labelNames.fsType]: device.fsType };
    const deviceNumber = (copy ?? device).number;
    commitSnapshot(database, snapshot, { name: request.name, deviceNumber, usedBytes, labels });
    setDeviceState(database, deviceNumber, "deactivated");
    if (copy !== undefined) retire(context, device);
    return {};
  });
}

/**
 * Processes that have the device mounted can go on writing, but a committed snapshot must not change: it gets a copy of
 * the device as it is now. The device itself is removed once it is no longer in use.
 */
async function copyInUse(context: Context, device: DeviceRecord): Promise<DeviceRecord> {
  const { database, driver, reach } = context;
  const { fsType, sizeBytes } = device;
  const copy = transact(database, () => insertDevice(database, { fsType, sizeBytes, operationId: undefined }));
  try {
    reach("commit.copying");
    await driver.snapshot(device, copy);
    return copy;
  } catch (error) {
    const gone = await takeBack(context, copy);
    transact(database, () => recordTakenBack(context, copy, gone));
    throw error;
  }
}
