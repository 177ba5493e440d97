// Room: unpack. Owns the messages between a writer's main thread and its blob thread, and the memory that they share.
import type { Digest } from "../domain/identifiers.ts";
import { chunkBytes } from "../images/decompress.ts";
import type { BlobRange, Compression } from "../images/image.ts";

/** A blob that comes through a pipe while it is fetched: once. */
export interface BlobPipe {
  /** Of the pipe's reading end. */
  readonly pipe: string;
  readonly lengthBytes: number;
}

/** A blob, and how it becomes a tar. */
export interface BlobSource {
  readonly blob: BlobRange | BlobPipe;
  readonly compression: Compression;
}

/**
 * The shared memory is cut into slots of one chunk each. A slot belongs to the blob thread until a chunk message names
 * it, then to the main thread until that says `free`. So the blob thread runs at most 16 MiB ahead.
 */
export const slotCount = 32;
export const slotBytes = chunkBytes;
/** Slots are given back by the handful: each message wakes a thread that has better things to do. */
export const slotsPerMessage = 8;

/** Streams are numbered by the main thread; they are served one after the other, in the order they were opened. */
export type ToBlobThread =
  | { readonly type: "memory"; readonly memory: SharedArrayBuffer }
  | { readonly type: "open"; readonly stream: number; readonly source: BlobSource }
  /** Nobody reads the stream any more. Chunks that are on their way are still to be freed. */
  | { readonly type: "drop"; readonly stream: number }
  | { readonly type: "free"; readonly slots: readonly number[] };

/** Any number of chunks, then the end or a failure (see `encodeFailure`): but nothing more once a drop has come. */
export type FromBlobThread =
  | {
      readonly type: "chunk";
      readonly stream: number;
      readonly slot: number;
      readonly lengthBytes: number;
      /** Of the blob, so far. */
      readonly readBytes: number;
    }
  | { readonly type: "end"; readonly stream: number; readonly digests: BlobDigests }
  | { readonly type: "failed"; readonly stream: number; readonly failure: string };

export interface BlobDigests {
  /** Of the blob as stored. */
  readonly blob: Digest;
  /** Of the tar in it. */
  readonly tar: Digest;
}
