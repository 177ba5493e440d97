// Room: service. Owns the list of a pool's images.
import { z } from "zod";
import { jobs } from "../jobs/contract.ts";
import type { Image } from "../metadata/images.ts";
import { bytesOf, type LayerUses, readLayerUses } from "../metadata/layer-uses.ts";
import { operation } from "./operation.ts";

/** An image under one of its names; `image` is null if it has none. */
const namedImage = jobs.unpack.result.extend({
  image: z.string().nullable(),
  unpackedAtMs: z.number(),
  /** When it was last requested by this name; by any name if it has none now. */
  lastAskedAtMs: z.number(),
  pinnedAtMs: z.number().optional(),
  /** Space of its layers in the pool, measured at their commits: what its removal would free, and the rest. */
  exclusiveBytes: z.number(),
  sharedBytes: z.number(),
});

export type NamedImage = z.input<typeof namedImage>;

/** The unpacked images, sorted by reference, once for each name; each with its committed snapshot. */
export const images = operation({ input: z.object({}), output: z.array(namedImage) }, ({ database }): NamedImage[] => {
  const uses = readLayerUses(database());
  return uses.images
    .filter(({ chainId, removedAtMs }) => removedAtMs === undefined || uses.layers.has(chainId))
    .flatMap((image) => underItsNames(uses, image))
    .sort((one, other) => compare(one.image ?? "", other.image ?? "") || compare(one.platform, other.platform));
});

function underItsNames(uses: LayerUses, image: Image): readonly NamedImage[] {
  const { names, removedAtMs: _removed, ...facts } = image;
  const shown = {
    ...facts,
    ...bytesOf(uses, image),
    layers: [...image.layers],
    snapshot: image.chainId,
    image: null,
  };
  if (names.length === 0) return [shown];
  return names.map(({ reference, resolvedDigest, lastAskedAtMs }) => ({
    ...shown,
    image: reference,
    resolvedDigest,
    lastAskedAtMs,
  }));
}

const compare = (one: string, other: string): number => (one < other ? -1 : Number(one > other));
