// Room: workers. Owns the answer of an unpack whose image the pool has on record: nothing of it is read or written again.
import { type Digest, snapshotKey } from "../src/domain/identifiers.ts";
import type { UnpackedImage } from "../src/jobs/contract.ts";
import type { Database } from "../src/metadata/database.ts";
import { findImage, findName, type Image, type ImageNameId } from "../src/metadata/images.ts";

/** The image that this reference meant when it was last unpacked; undefined: none that the pool still holds. */
export function imageOfName(database: Database, name: ImageNameId): UnpackedImage | undefined {
  const known = findName(database, name);
  return known && imageOfDigest(database, name, known.manifestDigest);
}

/** The image that has this digest, its manifest's or its index's, as that of this reference. */
export function imageOfDigest(database: Database, name: ImageNameId, digest: Digest): UnpackedImage | undefined {
  const image = findImage(database, digest, name.platform);
  return image && asUnpacked(image, name);
}

const asUnpacked = (
  { manifestDigest, chainId, layers }: Image,
  { reference, platform }: ImageNameId,
): UnpackedImage => ({
  image: reference,
  platform,
  manifestDigest,
  chainId,
  snapshot: snapshotKey(chainId),
  layers: layers.map((layer) => ({ ...layer, cached: true, ms: 0 })),
});
