// Room: snapshotter. Owns prepare and view: a new snapshot on a device of its own.
import { alreadyExists, failedPrecondition, invalidArgument } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { checkLabels, labelNames } from "../domain/snapshots.ts";
import { withoutEmpty } from "../domain/update-mask.ts";
import type { RequestOf, Result } from "../jobs/contract.ts";
import { type DeviceRecord, insertDevice, setDeviceState, touchTemplate } from "../metadata/devices.ts";
import { insertSnapshot } from "../metadata/snapshot-changes.ts";
import { deviceUnder, findSnapshot, lookUpSnapshot, mountOf, type SnapshotRecord } from "../metadata/snapshots.ts";
import { growFileSystem } from "../system/mount/filesystems.ts";
import type { Context } from "./context.ts";
import { recordTakenBack, takeBack } from "./device-removal.ts";
import { deviceSizeFor } from "./device-size.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";
import { adoptLayer } from "./remote-snapshot.ts";
import { ensureTemplate } from "./template.ts";

/** `parent` is the name of a committed snapshot; undefined: a base with an empty file system. */
type CreateRequest = RequestOf<"prepare" | "view">;
type Mounts = Result<"prepare" | "view">;

interface Creation extends CreateRequest {
  readonly kind: "active" | "view";
  readonly operationId: OperationId;
}

/** Makes a writable snapshot of a committed one, or an empty base. */
export const prepare = (context: Context, request: CreateRequest, operationId: OperationId): EffectSteps<Mounts> =>
  create(context, { ...request, kind: "active", operationId });

/**
 * Makes a snapshot of a committed one that is mounted read-only. It has a device of its own, because a file system that
 * was not unmounted cleanly replays its journal even then.
 */
export const view = (context: Context, request: CreateRequest, operationId: OperationId): EffectSteps<Mounts> =>
  create(context, { ...request, kind: "view", operationId });

/**
 * The order of the checks is containerd's: a missing parent is not_found, one that is not committed invalid_argument,
 * and only then a taken key already_exists.
 */
function create(context: Context, creation: Creation): EffectSteps<Mounts> {
  const { database } = context;
  const { scope, key, labels, kind, operationId } = creation;
  return {
    kind: "effect",
    intend() {
      const parent = committedParent(context, creation);
      if (lookUpSnapshot(database, scope, key) !== undefined) {
        throw alreadyExists(`snapshot ${JSON.stringify(key)} exists already in scope ${scope}`);
      }
      checkLabels(labels);
      const adoption = kind === "active" ? adoptLayer(context, creation, parent) : undefined;
      if (adoption !== undefined) return async () => adoption;
      const origin = parent === undefined ? undefined : usableDevice(context, parent);
      const device = insertDevice(database, { ...shapeOf(context, creation, origin), operationId });
      return () => makeDevice(context, creation, parent, origin, device);
    },
  };
}

function committedParent({ database }: Context, { scope, parent }: CreateRequest): SnapshotRecord | undefined {
  if (parent === undefined) return undefined;
  const snapshot = findSnapshot(database, scope, parent);
  if (snapshot.kind !== "committed") {
    throw invalidArgument(`parent ${JSON.stringify(parent)} is not committed: it is ${snapshot.kind}`);
  }
  return snapshot;
}

function usableDevice({ database }: Context, parent: SnapshotRecord): DeviceRecord {
  const device = deviceUnder(database, parent);
  if (device.state === "faulty" || device.state === "removing") {
    throw failedPrecondition(
      `parent ${JSON.stringify(parent.key)} cannot be used: its device ${device.deviceName} is ${device.state}`,
    );
  }
  return device;
}

function shapeOf(context: Context, { kind, labels }: Creation, origin: DeviceRecord | undefined) {
  const fsType = origin?.fsType ?? context.fsType;
  // A view shows its parent as it is, and needs no more room.
  if (kind === "view" && origin !== undefined) return { fsType, sizeBytes: origin.sizeBytes };
  const { deviceSizeBytes: defaultBytes, maxDeviceSizeBytes: maxBytes } = context;
  const sizes = { parentBytes: origin?.sizeBytes, defaultBytes, maxBytes };
  return { fsType, sizeBytes: deviceSizeFor({ fsType, labels, ...sizes }) };
}

async function makeDevice(
  context: Context,
  creation: Creation,
  parent: SnapshotRecord | undefined,
  origin: DeviceRecord | undefined,
  device: DeviceRecord,
): Promise<Settlement<Mounts>> {
  const { database, driver, reach } = context;
  reach("prepare.intended");
  let from: DeviceRecord;
  try {
    const { fsType, sizeBytes } = device;
    from = origin ?? (await ensureTemplate(context, { fsType, sizeBytes, operationId: creation.operationId }));
    await driver.snapshot(from, device);
    reach("prepare.created");
    await driver.activate(device);
    if (sizeBytes > from.sizeBytes) {
      await growFileSystem(driver.devicePath(device.deviceName), fsType);
      reach("prepare.grown");
    }
    reach("prepare.activated");
  } catch (error) {
    const gone = await takeBack(context, device);
    return failure(error, () => recordTakenBack(context, device, gone));
  }
  return success(() => {
    const { scope, key, kind } = creation;
    const labels = { ...withoutEmpty(creation.labels), [labelNames.fsType]: device.fsType };
    insertSnapshot(database, { scope, key, kind, parentNumber: parent?.number, deviceNumber: device.number, labels });
    setDeviceState(database, device.number, "activated");
    if (origin === undefined) touchTemplate(database, from.number);
    return { mounts: [mountOf(kind, device, (name) => driver.devicePath(name))] };
  });
}
