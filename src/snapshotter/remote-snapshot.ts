// Room: snapshotter. Owns remote snapshots: a layer that snapmill has unpacked itself is shown in another scope, on the same device.
import { alreadyExists } from "../domain/errors.ts";
import { type ChainId, isChainId, ownScope, type Scope, type SnapshotKey } from "../domain/identifiers.ts";
import { inheritedLabels, type Labels, labelNames } from "../domain/snapshots.ts";
import { withoutEmpty } from "../domain/update-mask.ts";
import type { DeviceRecord } from "../metadata/devices.ts";
import { insertSnapshot } from "../metadata/snapshot-changes.ts";
import { deviceUnder, findSnapshot, lookUpSnapshot, type SnapshotRecord } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import { deviceSizeFor } from "./device-size.ts";
import { failure, type Settlement } from "./operations.ts";

export interface LayerRequest {
  readonly scope: Scope;
  readonly labels: Labels;
}

/**
 * The handshake by which a snapshotter tells containerd that it has a layer already. containerd prepares a snapshot for a
 * layer with the layer's chain ID in label `containerd.io/snapshot.ref`. If the answer is already_exists, it looks for a
 * committed snapshot with that label and the same parent, uses that one for the layer, and neither fetches nor applies
 * anything.
 *
 * Returns that answer when snapmill's own scope has the layer and it fits: its parent is the same, and its device is as
 * large as was asked for. With the answer, a committed record is made in the scope of the request; it shares the layer's
 * device. Undefined: no layer fits, and the prepare goes on as usual.
 *
 * The record's name is the chain ID. containerd reads the name from its walk, and its own names are
 * `<namespace>/<number>/<key>`, so they never collide. All namespaces of one containerd find the same record, as they must:
 * it has to be the only one with that label and parent. If the record were named by the key of the first request, a
 * repeated request would fail for the wrong reason. If a client has given the name to another snapshot, nothing is adopted.
 */
export function adoptLayer(
  context: Context,
  request: LayerRequest,
  parent: SnapshotRecord | undefined,
): Settlement<never> | undefined {
  const chain = request.labels[labelNames.snapshotRef];
  if (request.scope === ownScope || chain === undefined || !isChainId(chain)) return undefined;
  const taken = lookUpSnapshot(context.database, request.scope, nameOf(chain));
  if (taken !== undefined) return isShown(context, taken, chain, parent) ? answer(request, chain) : undefined;
  const layer = lookUpSnapshot(context.database, ownScope, nameOf(chain));
  if (layer === undefined || !fits(context, layer, request, parent)) return undefined;
  return answer(request, chain, () => show(context, request, layer, parent));
}

const nameOf = (chain: ChainId): SnapshotKey => chain as string as SnapshotKey;

/** To the protocol it is a failure, but `record` is kept. */
const answer = ({ scope }: LayerRequest, chain: ChainId, record?: () => void): Settlement<never> =>
  failure(alreadyExists(`layer ${chain} is unpacked already: scope ${scope} has it as snapshot "${chain}"`), record);

/** Whether the snapshot that has the chain ID for its name is the layer, shown by an earlier request. */
function isShown(
  { database }: Context,
  taken: SnapshotRecord,
  chain: ChainId,
  parent: SnapshotRecord | undefined,
): boolean {
  return (
    taken.kind === "committed" &&
    taken.labels[labelNames.snapshotRef] === chain &&
    taken.parentNumber === parent?.number &&
    isUsable(deviceUnder(database, taken))
  );
}

function fits(
  { database, maxDeviceSizeBytes }: Context,
  layer: SnapshotRecord,
  { labels }: LayerRequest,
  parent: SnapshotRecord | undefined,
): boolean {
  const device = deviceUnder(database, layer);
  if (layer.kind !== "committed" || !isUsable(device)) return false;
  const below = layer.parent === undefined ? undefined : findSnapshot(database, ownScope, layer.parent);
  if (below?.deviceNumber !== parent?.deviceNumber) return false;
  const { fsType, sizeBytes } = device;
  const sizes = { parentBytes: sizeBytes, defaultBytes: sizeBytes, maxBytes: maxDeviceSizeBytes };
  return deviceSizeFor({ fsType, labels, ...sizes }) === sizeBytes;
}

const isUsable = ({ state }: DeviceRecord): boolean => state !== "faulty" && state !== "removing";

function show(
  { database }: Context,
  { scope, labels }: LayerRequest,
  layer: SnapshotRecord,
  parent: SnapshotRecord | undefined,
): void {
  const { key, kind, deviceNumber, usedBytes } = layer;
  const { fsType } = deviceUnder(database, layer);
  insertSnapshot(database, {
    scope,
    key,
    kind,
    parentNumber: parent?.number,
    deviceNumber,
    usedBytes,
    labels: { ...withoutEmpty(inheritedLabels(labels)), [labelNames.fsType]: fsType },
  });
}
