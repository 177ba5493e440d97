// Room: workers. Owns the answer of an unpack whose image the pool has on record: nothing of it is read or written again.
import { type Digest, snapshotKey } from "../src/domain/identifiers.ts";
import { digestOfReference, type OpenImageOptions } from "../src/images/resolve.ts";
import type { UnpackedImage } from "../src/jobs/contract.ts";
import type { Database } from "../src/metadata/database.ts";
import { findImage, findName, type Image, type ImageNameId } from "../src/metadata/images.ts";

/** The image that this reference meant when it was last unpacked; undefined: none that the pool still holds. */
export function imageOfName(database: Database, name: ImageNameId): UnpackedImage | undefined {
  const known = findName(database, name);
  return known && imageOfDigest(database, name, known.resolvedDigest ?? known.manifestDigest);
}

/**
 * The image that a registry says this reference stands for; undefined: it says none, or none that the pool holds. Asked
 * only of a reference that is on record: of another, the question would rarely spare anything.
 */
export async function imageOfReference(
  database: Database,
  name: ImageNameId,
  options: OpenImageOptions,
): Promise<UnpackedImage | undefined> {
  if (findName(database, name) === undefined) return undefined;
  const digest = await digestOfReference(name.reference, options);
  return digest && imageOfDigest(database, name, digest);
}

/** The image that has this digest, its manifest's or its index's, as that of this reference. */
function imageOfDigest(database: Database, name: ImageNameId, digest: Digest): UnpackedImage | undefined {
  const image = findImage(database, digest, name.platform);
  return image && asUnpacked(image, name, digest);
}

const asUnpacked = (
  { manifestDigest, chainId, layers }: Image,
  { reference, platform }: ImageNameId,
  digest: Digest,
): UnpackedImage => ({
  image: reference,
  platform,
  manifestDigest,
  ...(digest !== manifestDigest && { resolvedDigest: digest }),
  chainId,
  snapshot: snapshotKey(chainId),
  layers: layers.map((layer) => ({ ...layer, cached: true, ms: 0 })),
});
