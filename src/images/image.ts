// Room: images. Owns what an image is once its reference has been resolved.
import type { DiffId, Digest } from "../domain/identifiers.ts";

/** Bytes of a file: a whole blob file of an OCI layout, or a member of an uncompressed archive. */
export interface BlobRange {
  readonly path: string;
  /** The directory that the file must lie in when it is opened, links followed: see `FilePlace`. */
  readonly within?: string | undefined;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export const compressions = ["none", "gzip", "zstd"] as const;
export type Compression = (typeof compressions)[number];

export interface ImageLayer {
  /** Of the blob as stored. */
  readonly digest: Digest;
  /** Of the uncompressed tar. */
  readonly diffId: DiffId;
  readonly compression: Compression;
  readonly blob: BlobRange;
}

/** An image ready to be unpacked: layers bottom first. Dispose of it to close what it holds (temporary files). */
export interface ResolvedImage extends AsyncDisposable {
  readonly reference: string;
  readonly platform: string;
  readonly manifestDigest: Digest;
  readonly layers: readonly ImageLayer[];
}
