// Room: snapshotter. Owns remove-images: it removes names of images, and with the last name every layer that nothing else uses.
import type { RequestOf, Result } from "../jobs/contract.ts";
import type { Database } from "../metadata/database.ts";
import { dropName, findName, type Image, type ImageNameId, idOf, markRemoved, readImage } from "../metadata/images.ts";
import type { LayerUses } from "../metadata/layer-uses.ts";
import { collectLayers } from "./collect-layers.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

type RemoveImagesRequest = RequestOf<"remove-images">;
type RemoveImagesResult = Result<"remove-images">;
type Kept = RemoveImagesResult["kept"][number];

/**
 * One transaction: names and snapshots are gone with the answer; jobs delete the devices. Names that do not exist are
 * skipped. A layer that something else uses stays until that is gone; then a later sweep removes it.
 */
export const removeImages = (context: Context, request: RemoveImagesRequest): MetadataSteps<RemoveImagesResult> => ({
  kind: "metadata",
  apply: () => removeAll(context, request),
});

function removeAll(context: Context, request: RemoveImagesRequest): RemoveImagesResult {
  const { database } = context;
  const whole = request.images.flatMap((id) => readImage(database, id) ?? []);
  const named = request.names.flatMap((name) => imageNamed(database, name) ?? []);
  const kept = distinct([...whole, ...named]).flatMap((image) => refusalOf(image, request) ?? []);
  const refused = new Set(kept.map(idOf));
  const removed = new Map(whole.filter((image) => !refused.has(idOf(image))).map((image) => [idOf(image), image]));
  const names = [...removed.values()].flatMap((image) => image.names);
  for (const asked of request.names) {
    const image = imageNamed(database, asked);
    const name = image?.names.find(({ reference }) => reference === asked.reference);
    if (image === undefined || name === undefined || refused.has(idOf(image)) || removed.has(idOf(image))) continue;
    dropName(database, asked);
    names.push(name);
    if (image.names.length === 1) removed.set(idOf(image), image);
  }
  const images = [...removed.values()];
  for (const image of images) markRemoved(database, image);
  const { layers, isMore, uses } = collectLayers(context, "all");
  return {
    layers,
    isMore,
    names: names.map(({ reference, platform }) => ({ reference, platform })),
    images: images.map(({ manifestDigest, platform }) => ({ manifestDigest, platform })),
    kept: [...kept, ...stillUsed(uses, images)],
  };
}

const distinct = (images: readonly Image[]): Image[] => [
  ...new Map(images.map((image) => [idOf(image), image])).values(),
];

function imageNamed(database: Database, asked: ImageNameId): Image | undefined {
  const name = findName(database, asked);
  return name && readImage(database, name);
}

function refusalOf(image: Image, { notAskedSinceMs }: RemoveImagesRequest): Kept | undefined {
  const { manifestDigest, platform, pinnedAtMs, lastAskedAtMs } = image;
  if (pinnedAtMs !== undefined) {
    return { manifestDigest, platform, kind: "pinned", reason: `it is pinned: 'snapmill images unpin' lets it go` };
  }
  if (notAskedSinceMs !== undefined && lastAskedAtMs > notAskedSinceMs) {
    return { manifestDigest, platform, kind: "asked for", reason: "it was asked for meanwhile" };
  }
  return undefined;
}

/** Of images that were removed, those with layers that only something else than an image still uses. */
function stillUsed(uses: LayerUses, removed: readonly Image[]): Kept[] {
  return removed.flatMap(({ manifestDigest, platform, layers }): Kept[] => {
    const left = layers.flatMap(({ chainId }) => uses.layers.get(chainId) ?? []);
    const waiting = left.filter(({ users }) => users.image === undefined && users.other !== undefined);
    const other = waiting.at(-1)?.users.other;
    if (other === undefined) return [];
    const what = waiting.length === layers.length ? "all its layers are" : `${waiting.length} of its layers are`;
    const reason = `${what} still used by ${other}, and removed once nothing uses them`;
    return [{ manifestDigest, platform, kind: "in use", reason }];
  });
}
