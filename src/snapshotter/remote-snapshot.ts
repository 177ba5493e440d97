// Room: snapshotter. Owns adoption: a layer that snapmill has unpacked itself is shown in another scope, on the same device.
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
 * The handshake by which a snapshotter says that it has a layer already. containerd prepares a snapshot for a layer with
 * the layer's chain ID in label `containerd.io/snapshot.ref`. When it is answered already_exists, it looks for a
 * committed snapshot with that label and the same parent, takes its name for the layer, and neither fetches nor applies
 * anything.
 *
 * Returns that answer when the layer is in snapmill's own scope and fits: the same parent under it, and a device as
 * large as was asked for. What goes with the answer is a record, committed, in the scope of the request; it shares the
 * layer's device. Undefined: nothing fits, and the prepare goes on as any other.
 *
 * The record's name is the chain ID. containerd reads the name from its walk and makes its own as
 * `<namespace>/<number>/<key>`, so the two never meet; the namespaces of one containerd find the same record, as they must,
 * since it has to be the only one of that label and parent. The key of the request would name the record after whoever
 * came first, and make a repetition fail for the wrong reason. Should a client of another kind have given the name to
 * something else, nothing is adopted.
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

/** A failure by the letter of the protocol, and a change that is kept with it. */
const answer = ({ scope }: LayerRequest, chain: ChainId, record?: () => void): Settlement<never> =>
  failure(alreadyExists(`layer ${chain} is unpacked already: scope ${scope} has it as snapshot "${chain}"`), record);

/** Whether what has the chain ID's name in the scope is the layer, as an earlier request has it shown. */
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
