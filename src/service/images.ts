// Room: service. Owns the operations on images.
import { z } from "zod";
import { jobs } from "../jobs/contract.ts";
import { type Image, listImages } from "../metadata/images.ts";
import { operation } from "./operation.ts";

/** An image under one of its names; `image` is null where it has none. */
const namedImage = jobs.unpack.result.extend({
  image: z.string().nullable(),
  unpackedAtMs: z.number(),
  lastAskedAtMs: z.number(),
  pinnedAtMs: z.number().optional(),
});

export type NamedImage = z.input<typeof namedImage>;

/** The images that were unpacked, by reference, once for each name; each with the committed snapshot that shows it. */
export const images = operation({ input: z.object({}), output: z.array(namedImage) }, ({ database }): NamedImage[] =>
  listImages(database())
    .flatMap(underItsNames)
    .sort((one, other) => compare(one.image ?? "", other.image ?? "") || compare(one.platform, other.platform)),
);

function underItsNames({ names, ...image }: Image): readonly NamedImage[] {
  const shown = { ...image, layers: [...image.layers], snapshot: image.chainId, image: null };
  if (names.length === 0) return [shown];
  return names.map(({ reference, lastAskedAtMs }) => ({ ...shown, image: reference, lastAskedAtMs }));
}

const compare = (one: string, other: string): number => (one < other ? -1 : Number(one > other));
