// Room: metadata. Owns the records of images that were unpacked, and of the references that name them.
import { and, asc, eq, isNotNull, isNull, or, sql } from "drizzle-orm";
import {
  type ChainId,
  type DiffId,
  type Digest,
  ownScope,
  type SnapshotKey,
  snapshotKey,
} from "../domain/identifiers.ts";
import { type Database, readConsistently, statements } from "./database.ts";
import { imageNames, images, snapshots } from "./schema.ts";

/** What a removal asks of images. */
const prepared = statements((handle) => ({
  pinnedOn: handle
    .select()
    .from(images)
    .where(and(eq(images.chainId, sql.placeholder("chainId")), isNotNull(images.pinnedAtMs)))
    .limit(1)
    .prepare(),
  forgetOn: handle
    .delete(images)
    .where(eq(images.chainId, sql.placeholder("chainId")))
    .prepare(),
}));

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
  /** What the registry says that the reference is, where that is an index. */
  readonly resolvedDigest?: Digest | undefined;
  readonly chainId: ChainId;
  readonly snapshot: SnapshotKey;
  readonly layers: readonly LayerRecord[];
}

/** What an image is known by: the manifest of one platform. */
export interface ImageId {
  readonly manifestDigest: Digest;
  readonly platform: string;
}

/** What a name is known by: one reference means another image on each platform. */
export interface ImageNameId {
  readonly reference: string;
  readonly platform: string;
}

export interface ImageName extends ImageNameId {
  readonly manifestDigest: Digest;
  readonly resolvedDigest: Digest | undefined;
  /** Since when the reference means this image. */
  readonly firstAtMs: number;
  readonly lastAskedAtMs: number;
}

export interface Image extends ImageId {
  readonly chainId: ChainId;
  readonly layers: readonly LayerRecord[];
  readonly unpackedAtMs: number;
  /** By any name, also one that it no longer has. */
  readonly lastAskedAtMs: number;
  readonly pinnedAtMs: number | undefined;
  /** When its removal was asked for: not all of its layers could go yet, and the first that did are gone. */
  readonly removedAtMs: number | undefined;
  /** None: the image is dangling. */
  readonly names: readonly ImageName[];
}

/**
 * Records an image that was asked for, and that its reference means it: an image that had the name before is without it
 * from now on. In the caller's transaction.
 */
export function recordImage(database: Database, image: ImageRecord): void {
  const nowMs = Date.now();
  const { platform, manifestDigest } = image;
  const asked = { lastAskedAtMs: nowMs };
  const wanted = { ...asked, removedAtMs: null };
  database.drizzle
    .insert(images)
    .values({
      manifestDigest,
      platform,
      chainId: image.chainId,
      layers: JSON.stringify(image.layers),
      unpackedAtMs: nowMs,
      ...asked,
    })
    .onConflictDoUpdate({ target: [images.manifestDigest, images.platform], set: wanted })
    .run();
  const resolvedDigest = image.resolvedDigest ?? null;
  database.drizzle
    .insert(imageNames)
    .values({ reference: image.image, platform, manifestDigest, resolvedDigest, firstAtMs: nowMs, ...asked })
    .onConflictDoUpdate({
      target: [imageNames.reference, imageNames.platform],
      set: {
        firstAtMs: sql`iif(${imageNames.manifestDigest} = excluded.manifest_digest, ${imageNames.firstAtMs}, excluded.first_at_ms)`,
        // What an index has in it never changes: what was known of the same image stays true.
        resolvedDigest: sql`coalesce(excluded.resolved_digest, iif(${imageNames.manifestDigest} = excluded.manifest_digest, ${imageNames.resolvedDigest}, null))`,
        manifestDigest,
        ...asked,
      },
    })
    .run();
}

/** All images with their names, by digest and platform. */
export const listImages = (database: Database): Image[] =>
  readConsistently(database, () => {
    const names = Map.groupBy(readNames(database), idOf);
    return database.drizzle
      .select()
      .from(images)
      .orderBy(asc(images.manifestDigest), asc(images.platform))
      .all()
      .map((row) => toImage(row, names.get(idOf(row)) ?? []));
  });

/**
 * The committed image of this digest, its manifest's or what a registry says of one of its names, and platform. Undefined
 * also when its snapshot is gone, or goes as soon as nothing else uses it.
 */
export const findImage = (database: Database, digest: Digest, platform: string): Image | undefined =>
  readConsistently(database, () => {
    const row = database.drizzle
      .select()
      .from(images)
      .where(
        and(
          eq(images.platform, platform),
          isNull(images.removedAtMs),
          or(
            eq(images.manifestDigest, digest),
            sql`${images.manifestDigest} in (select ${imageNames.manifestDigest} from ${imageNames}
              where ${imageNames.resolvedDigest} = ${digest} and ${imageNames.platform} = ${platform})`,
          ),
        ),
      )
      // The manifest's own digest first: an index's says less.
      .orderBy(sql`${images.manifestDigest} <> ${digest}`)
      .limit(1)
      .get();
    if (row === undefined || !isCommitted(database, row.chainId)) return undefined;
    return toImage(row, readNames(database, row));
  });

/** What a name means; undefined: nothing. */
export function findName(database: Database, { reference, platform }: ImageNameId): ImageName | undefined {
  const row = database.drizzle
    .select()
    .from(imageNames)
    .where(and(eq(imageNames.reference, reference), eq(imageNames.platform, platform)))
    .get();
  return row && toName(row);
}

export function readImage(database: Database, id: ImageId): Image | undefined {
  const row = database.drizzle.select().from(images).where(isImage(id)).get();
  return row && toImage(row, readNames(database, row));
}

/** A pinned image that the snapshot `key` shows whole. */
export function pinnedImageOn(database: Database, key: SnapshotKey): Image | undefined {
  const row = prepared(database).pinnedOn.get({ chainId: key });
  return row && toImage(row, readNames(database, row));
}

export const listPinned = (database: Database): Image[] =>
  database.drizzle
    .select()
    .from(images)
    .where(isNotNull(images.pinnedAtMs))
    .all()
    .map((row) => toImage(row, readNames(database, row)));

/** Whether there are images whose removal was asked for and has not ended. */
export const hasRemovedImages = (database: Database): boolean =>
  database.drizzle
    .select({ platform: images.platform })
    .from(images)
    .where(isNotNull(images.removedAtMs))
    .limit(1)
    .get() !== undefined;

/** Whether the pool holds the whole image: its layers below cannot be removed before its top. */
export const isCommitted = (database: Database, chainId: ChainId): boolean =>
  database.drizzle
    .select({ number: snapshots.number })
    .from(snapshots)
    .where(and(eq(snapshots.scope, ownScope), eq(snapshots.key, snapshotKey(chainId)), eq(snapshots.kind, "committed")))
    .get() !== undefined;

/** Pins an image, or unpins it; one that is pinned is not to be removed any more. In the caller's transaction. */
export function setPinned(database: Database, id: ImageId, isPinned: boolean): void {
  const pinned = { pinnedAtMs: sql`coalesce(${images.pinnedAtMs}, ${Date.now()})`, removedAtMs: null };
  database.drizzle
    .update(images)
    .set(isPinned ? pinned : { pinnedAtMs: null })
    .where(isImage(id))
    .run();
}

/** Notes that an image is to be removed, and takes its names away. In the caller's transaction. */
export function markRemoved(database: Database, id: ImageId): void {
  database.drizzle.update(images).set({ removedAtMs: Date.now() }).where(isImage(id)).run();
  database.drizzle.delete(imageNames).where(isNameOf(id)).run();
}

/** The reference means nothing any more. In the caller's transaction. */
export function dropName(database: Database, { reference, platform }: ImageNameId): void {
  database.drizzle
    .delete(imageNames)
    .where(and(eq(imageNames.reference, reference), eq(imageNames.platform, platform)))
    .run();
}

/** Forgets an image and its names. In the caller's transaction. */
export function dropImage(database: Database, id: ImageId): void {
  database.drizzle.delete(images).where(isImage(id)).run();
}

/** Forgets the images that `key`, a snapshot that is gone, showed whole. */
export function forgetImagesOf(database: Database, key: SnapshotKey): void {
  prepared(database).forgetOn.run({ chainId: key });
}

export function forgetAllImages(database: Database): void {
  database.drizzle.delete(images).run();
}

const isImage = ({ manifestDigest, platform }: ImageId) =>
  and(eq(images.manifestDigest, manifestDigest), eq(images.platform, platform));

const isNameOf = ({ manifestDigest, platform }: ImageId) =>
  and(eq(imageNames.manifestDigest, manifestDigest), eq(imageNames.platform, platform));

/** As the key of a map. */
export const idOf = ({ manifestDigest, platform }: ImageId): string => `${manifestDigest} ${platform}`;

/** All names by reference, or those of one image. */
const readNames = (database: Database, of?: ImageId): ImageName[] =>
  database.drizzle
    .select()
    .from(imageNames)
    .where(of && isNameOf(of))
    .orderBy(asc(imageNames.reference), asc(imageNames.platform))
    .all()
    .map(toName);

const toName = (row: typeof imageNames.$inferSelect): ImageName => ({
  ...row,
  resolvedDigest: row.resolvedDigest ?? undefined,
});

const toImage = (row: typeof images.$inferSelect, names: readonly ImageName[]): Image => ({
  ...row,
  pinnedAtMs: row.pinnedAtMs ?? undefined,
  removedAtMs: row.removedAtMs ?? undefined,
  layers: JSON.parse(row.layers) as LayerRecord[],
  names,
});
