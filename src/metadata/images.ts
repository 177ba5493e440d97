// Room: metadata. Owns the records of images that were unpacked.
import { asc, eq } from "drizzle-orm";
import { type ChainId, type DiffId, type Digest, type SnapshotKey, snapshotKey } from "../domain/identifiers.ts";
import type { Database } from "./database.ts";
import { images } from "./schema.ts";

export interface LayerRecord {
  readonly digest: Digest;
  readonly diffId: DiffId;
  readonly chainId: ChainId;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly cached: boolean;
  readonly ms: number;
}

/** An unpacked image, as the unpack job answers it. `snapshot` is the committed snapshot that shows all of it. */
export interface ImageRecord {
  readonly image: string;
  readonly platform: string;
  readonly manifestDigest: Digest;
  readonly chainId: ChainId;
  readonly snapshot: SnapshotKey;
  readonly layers: readonly LayerRecord[];
}

/** Records an image; an older one of the same reference and platform gives way. */
export function recordImage(database: Database, image: ImageRecord): void {
  const facts = {
    manifestDigest: image.manifestDigest,
    chainId: image.chainId,
    layers: JSON.stringify(image.layers),
    unpackedAtMs: Date.now(),
  };
  database.drizzle
    .insert(images)
    .values({ reference: image.image, platform: image.platform, ...facts })
    .onConflictDoUpdate({ target: [images.reference, images.platform], set: facts })
    .run();
}

/** All images, by reference. */
export const listImages = (database: Database): (ImageRecord & { readonly unpackedAtMs: number })[] =>
  database.drizzle
    .select()
    .from(images)
    .orderBy(asc(images.reference), asc(images.platform))
    .all()
    .map((row) => ({
      image: row.reference,
      platform: row.platform,
      manifestDigest: row.manifestDigest,
      chainId: row.chainId,
      snapshot: snapshotKey(row.chainId),
      layers: JSON.parse(row.layers) as LayerRecord[],
      unpackedAtMs: row.unpackedAtMs,
    }));

/** Forgets the images that `key`, a snapshot that is gone, showed whole. */
export function forgetImagesOf(database: Database, key: SnapshotKey): void {
  database.drizzle
    .delete(images)
    .where(eq(images.chainId, key as string as ChainId))
    .run();
}

export function forgetAllImages(database: Database): void {
  database.drizzle.delete(images).run();
}
