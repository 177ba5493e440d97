// Room: unpack. Owns the messages between a writer's main thread and its blob thread, and the memory that they share.
import type { Digest } from "../domain/identifiers.ts";
import { chunkBytes } from "../images/decompress.ts";
import type { BlobRange, Compression } from "../images/image.ts";

/** A blob that arrives through a pipe while it is fetched: it can be read only once. */
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
 * The shared memory is divided into slots of one chunk each. A slot belongs to the blob thread until a chunk message names
 * it, then to the main thread until a `free` message does. So the blob thread is at most 16 MiB ahead.
 */
export const slotCount = 32;
export const slotBytes = chunkBytes;
/** Slots are freed two at a time: each message wakes a thread that is busy, and what waits to be freed is not read ahead. */
export const slotsPerMessage = 2;

/** Streams are numbered by the main thread, and served one after the other in the order in which they were opened. */
export type ToBlobThread =
  | { readonly type: "memory"; readonly memory: SharedArrayBuffer }
  | { readonly type: "open"; readonly stream: number; readonly source: BlobSource }
  /** The stream is no longer read. Chunks that are in flight must still be freed. */
  | { readonly type: "drop"; readonly stream: number }
  | { readonly type: "free"; readonly slots: readonly number[] };

/** Any number of chunks, then the end or a failure (see `encodeFailure`); nothing after a drop. */
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
