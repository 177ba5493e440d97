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

/** A blob that has to be fetched. */
export interface RemoteBlob {
  readonly lengthBytes: number;
  /**
   * Its bytes from `offsetBytes` on, at the reader's pace; verified against its digest when read from the start. A reader
   * that leaves early releases all resources. Throws the reason of `signal`.
   */
  open(offsetBytes: number, signal?: AbortSignal): AsyncGenerator<Uint8Array>;
}

export type LayerBlob = BlobRange | RemoteBlob;

export const isRemote = (blob: LayerBlob): blob is RemoteBlob => "open" in blob;

export const compressions = ["none", "gzip", "zstd"] as const;
export type Compression = (typeof compressions)[number];

export interface ImageLayer<Blob extends LayerBlob = BlobRange> {
  /** Of the blob as stored. */
  readonly digest: Digest;
  /** Of the uncompressed tar. */
  readonly diffId: DiffId;
  /** For a remote blob as its media type says: its bytes are only seen when it is opened. */
  readonly compression: Compression;
  readonly blob: Blob;
}

/** An image ready to be unpacked: layers bottom first. Dispose of it to close what it holds (temporary files). */
export interface ResolvedImage<Blob extends LayerBlob = BlobRange> extends AsyncDisposable {
  readonly reference: string;
  readonly platform: string;
  readonly manifestDigest: Digest;
  /** The digest of what a registry answers for the reference, where that is an index. */
  readonly resolvedDigest?: Digest | undefined;
  readonly layers: readonly ImageLayer<Blob>[];
}
