// Room: snapshotter. Owns the garbage collection of layers: which unpacked layers nothing uses any more, and how many are removed at once.
import { type ChainId, ownScope, snapshotKey } from "../domain/identifiers.ts";
import { findDevice, setDeviceState } from "../metadata/devices.ts";
import { dropImage, hasRemovedImages } from "../metadata/images.ts";
import { type LayerUses, readLayerUses, type UsedLayer, unusedLayers } from "../metadata/layer-uses.ts";
import { dropSnapshot } from "../metadata/snapshot-changes.ts";
import type { Context } from "./context.ts";
import { leaveToJob } from "./device-removal.ts";

export interface RemovedLayer {
  readonly chainId: ChainId;
  /** What the layer alone mapped, as measured at its commit. */
  readonly bytes: number;
}

export interface Collection {
  readonly layers: readonly RemovedLayer[];
  /** Whether more unused layers are left. */
  readonly isMore: boolean;
  /** As it was before. */
  readonly uses: LayerUses;
}

/** Of all that nothing uses, or only what images had whose removal was asked for. */
export type Extent = "all" | "removed images";

/** Limit for one transaction, so that operations behind it do not wait for long. */
const maxLayers = 200;

/**
 * Removes layers that nothing uses, each before the one below it. Their devices are left to jobs. An image whose removal
 * was asked for is forgotten once no layer of it waits for another user to go. In the caller's transaction.
 */
export function collectLayers(context: Context, extent: Extent): Collection {
  const { database } = context;
  const uses = readLayerUses(database);
  const removable = removableLayers(uses, extent);
  const removed = removable.slice(0, maxLayers);
  for (const layer of removed) removeLayer(context, layer);
  for (const image of finishedImages(uses, new Set(removed.map(({ chainId }) => chainId)))) dropImage(database, image);
  return {
    layers: removed.map(({ chainId, ownBytes }) => ({ chainId, bytes: ownBytes })),
    isMore: removable.length > removed.length,
    uses,
  };
}

/** Whether a collection of what removed images had would change anything. */
export function isCollectionDue({ database }: Context): boolean {
  if (!hasRemovedImages(database)) return false;
  const uses = readLayerUses(database);
  return removableLayers(uses, "removed images").length > 0 || finishedImages(uses, new Set()).length > 0;
}

function removableLayers(uses: LayerUses, extent: Extent): UsedLayer[] {
  const unused = unusedLayers(uses);
  if (extent === "all") return unused;
  const wanted = new Set(removedImages(uses).flatMap(({ layers }) => layers.map(({ chainId }) => chainId)));
  const keptParents = new Set<number | undefined>();
  return unused.filter(({ chainId, number, parentNumber }) => {
    const isRemovable = wanted.has(chainId) && !keptParents.has(number);
    if (!isRemovable) keptParents.add(parentNumber);
    return isRemovable;
  });
}

const removedImages = ({ images }: LayerUses) => images.filter(({ removedAtMs }) => removedAtMs !== undefined);

/** Removed images whose remaining layers are all some other image's. */
const finishedImages = (uses: LayerUses, gone: ReadonlySet<ChainId>) =>
  removedImages(uses).filter(({ layers }) =>
    layers.every(({ chainId }) => {
      const layer = uses.layers.get(chainId);
      return layer === undefined || gone.has(chainId) || layer.users.image !== undefined;
    }),
  );

function removeLayer(context: Context, layer: UsedLayer): void {
  const { database } = context;
  const device = findDevice(database, layer.deviceNumber);
  dropSnapshot(database, layer);
  if (device === undefined) return;
  // If an earlier removal was interrupted, the device keeps its operation ID: that one is settled when the device is gone.
  setDeviceState(database, device.number, "removed", device.operationId);
  const { chainId, ownBytes } = layer;
  leaveToJob(context, device, {
    scope: ownScope,
    key: snapshotKey(chainId),
    usedBytes: ownBytes,
    inheritedBytes: 0,
  });
}
