// Room: service. Owns the resolution of references and digests to the images that a caller means.
import { z } from "zod";
import { invalidArgument, notFound } from "../domain/errors.ts";
import { type Image, type ImageName, listImages } from "../metadata/images.ts";
import type { Service } from "./service.ts";

/** At least as many digits as lists show. */
const digestBeginning = z
  .string()
  .regex(/^sha256:[0-9a-f]{12,64}$/, "give at least 12 digits of a digest: sha256:ab12cd34ef56");

/** A full reference, or the digest of a manifest or an index, or an unambiguous prefix of such a digest. */
export const imageTarget = z.union([z.object({ reference: z.string() }), z.object({ digest: digestBeginning })]);

export type ImageTarget = z.output<typeof imageTarget>;

export const imageSelection = z.object({
  targets: z.array(imageTarget),
  /** Restricts the selection to one platform. Default: all. */
  platform: z.string().optional(),
});

export interface Meant {
  readonly target: ImageTarget;
  /** If the target is a reference. */
  readonly names: readonly ImageName[];
  /** If the target is a digest. */
  readonly images: readonly Image[];
}

/**
 * Resolves the targets, in order. Throws not_found, before anything is done, if a target matches nothing, and
 * invalid_argument if it is a prefix of several digests.
 */
export function resolveTargets(
  { database }: Pick<Service, "database">,
  { targets, platform }: z.output<typeof imageSelection>,
): Meant[] {
  const there = listImages(database()).filter((image) => platform === undefined || image.platform === platform);
  const meant = targets.map((target) => meaningOf(there, target));
  const unknown = meant.filter(({ names, images }) => names.length + images.length === 0);
  if (unknown.length === 0) return meant;
  const texts = unknown.map(({ target }) => textOf(target)).join(", ");
  throw notFound(
    `there is no image ${texts}${platform === undefined ? "" : ` for ${platform}`}: 'snapmill images' lists the existing ones`,
  );
}

/** The images that match the targets, without duplicates. */
export const imagesMeant = (
  service: Pick<Service, "database">,
  selection: z.output<typeof imageSelection>,
): Image[] => {
  const meant = resolveTargets(service, selection);
  const named = new Set(meant.flatMap(({ names }) => names.map(keyOf)));
  const chosen = new Set(meant.flatMap(({ images }) => images.map(keyOf)));
  return listImages(service.database()).filter((image) => named.has(keyOf(image)) || chosen.has(keyOf(image)));
};

const keyOf = ({ manifestDigest, platform }: Pick<Image, "manifestDigest" | "platform">): string =>
  `${manifestDigest} ${platform}`;

function meaningOf(there: readonly Image[], target: ImageTarget): Meant {
  if ("reference" in target) {
    const names = there.flatMap((image) => image.names).filter(({ reference }) => reference === target.reference);
    return { target, names, images: [] };
  }
  const images = there.filter((image) => digestsOf(image).some((digest) => digest.startsWith(target.digest)));
  const digests = new Set(images.flatMap(digestsOf).filter((digest) => digest.startsWith(target.digest)));
  if (digests.size > 1) {
    throw invalidArgument(`${target.digest} could be ${[...digests].join(" or ")}: give more of its digits`);
  }
  return { target, names: [], images };
}

const digestsOf = ({ manifestDigest, names }: Image): string[] => [
  manifestDigest,
  ...names.flatMap(({ resolvedDigest }) => resolvedDigest ?? []),
];

export const textOf = (target: ImageTarget): string => ("reference" in target ? target.reference : target.digest);
