// Room: service. Owns the removal of images, by name or as a whole.
import { jobs, type Result } from "../jobs/contract.ts";
import type { ImageId, ImageNameId } from "../metadata/images.ts";
import { imageSelection, resolveTargets } from "./image-targets.ts";
import { operation } from "./operation.ts";
import type { CallOptions, Service } from "./service.ts";

export type RemovedImages = Result<"remove-images">;

/**
 * Removes names. An image goes with its last name, and so does every layer that nothing else uses: see the job. A
 * digest means all names of its images. Throws what `resolveTargets` throws; the result says what was kept.
 */
export const removeImages = operation(
  { input: imageSelection, output: jobs["remove-images"].result },
  (service: Pick<Service, "database" | "change">, selection, options?: Pick<CallOptions, "signal">) => {
    const meant = resolveTargets(service, selection);
    const removal = { names: meant.flatMap(({ names }) => names), images: meant.flatMap(({ images }) => images) };
    return removeInParts(service, removal, options);
  },
);

export interface Removal {
  readonly names: readonly ImageNameId[];
  readonly images: readonly ImageId[];
  readonly notAskedSinceMs?: number;
}

/** How many images one operation of the pool's worker removes. */
const perOperation = 200;

/**
 * Removes everything in small operations, so that others can run in between. Always removes layers that nothing uses.
 */
export async function removeInParts(
  { change }: Pick<Service, "change">,
  { names, images, ...condition }: Removal,
  { signal }: Pick<CallOptions, "signal"> = {},
): Promise<RemovedImages> {
  const parts: RemovedImages[] = [];
  let [nextName, nextImage] = [0, 0];
  do {
    signal?.throwIfAborted();
    const part = {
      names: names.slice(nextName, nextName + perOperation).map(({ reference, platform }) => ({ reference, platform })),
      images: images
        .slice(nextImage, nextImage + perOperation)
        .map(({ manifestDigest, platform }) => ({ manifestDigest, platform })),
    };
    parts.push(await change("remove-images", { ...part, ...condition }, { signal }));
    nextName += perOperation;
    nextImage += perOperation;
  } while (nextName < names.length || nextImage < images.length || parts.at(-1)?.isMore === true);
  return together(parts);
}

export const together = (parts: readonly RemovedImages[]): RemovedImages => ({
  names: parts.flatMap((part) => part.names),
  images: parts.flatMap((part) => part.images),
  layers: parts.flatMap((part) => part.layers),
  isMore: parts.at(-1)?.isMore ?? false,
  kept: parts.flatMap((part) => part.kept),
});
