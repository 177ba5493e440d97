// Room: snapshotter. Owns pin-images: nothing removes a pinned image until it is unpinned.
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { type ChainId, ownScope, snapshotKey } from "../domain/identifiers.ts";
import type { RequestOf } from "../jobs/contract.ts";
import type { Database } from "../metadata/database.ts";
import { type Image, listPinned, pinnedImageOn, readImage, setPinned } from "../metadata/images.ts";
import { deviceUnder, lookUpSnapshot, type SnapshotRecord } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

type PinImagesRequest = RequestOf<"pin-images">;

/** All or none. Throws not_found for an image that is not there, failed_precondition for one that is being removed. */
export const pinImages = ({ database }: Context, request: PinImagesRequest): MetadataSteps<object> => ({
  kind: "metadata",
  apply() {
    for (const id of request.images) {
      const image = readImage(database, id);
      if (image === undefined) throw notFound(`there is no image ${id.manifestDigest} (${id.platform})`);
      if (request.isPinned) requireWhole(database, image);
      setPinned(database, id, request.isPinned);
    }
    return {};
  },
});

/** An image that is partly removed cannot be pinned. */
function requireWhole(database: Database, { manifestDigest, chainId }: Image): void {
  const snapshot = lookUpSnapshot(database, ownScope, snapshotKey(chainId));
  const state = snapshot && deviceUnder(database, snapshot).state;
  if (state === undefined || state === "removing" || state === "removed") {
    throw failedPrecondition(`image ${manifestDigest} is being removed: unpack it again, and pin it then`);
  }
  if (state === "faulty") {
    throw failedPrecondition(`image ${manifestDigest} is lost, its device is faulty: remove it, and unpack it again`);
  }
}

/** Throws failed_precondition when removing the snapshot would take a pinned image. */
export function requireUnpinned(database: Database, { scope, key }: SnapshotRecord): void {
  if (scope !== ownScope) return;
  const image = pinnedImageOn(database, key);
  if (image === undefined) return;
  throw failedPrecondition(
    `snapshot ${JSON.stringify(key)} is ${describeImage(image)}, which is pinned: ${wayOut(image)} lets it go`,
  );
}

/** Throws failed_precondition while there are pinned images whose content is not lost. */
export function requireNoPins(database: Database): void {
  const [image, ...more] = listPinned(database).filter(({ chainId }) => !isLost(database, chainId));
  if (image === undefined) return;
  const others = more.length === 0 ? "is" : `and ${more.length} more are`;
  throw failedPrecondition(
    `the pool cannot be reset: ${describeImage(image)} ${others} pinned; unpin all that 'snapmill images' shows as pinned`,
  );
}

function isLost(database: Database, chainId: ChainId): boolean {
  const snapshot = lookUpSnapshot(database, ownScope, snapshotKey(chainId));
  return snapshot === undefined || deviceUnder(database, snapshot).state === "faulty";
}

const describeImage = ({ manifestDigest, names: [name] }: Image): string =>
  name === undefined ? `image ${manifestDigest}` : `image ${name.reference}`;

const wayOut = ({ manifestDigest }: Image): string => `'snapmill images unpin ${manifestDigest}'`;
