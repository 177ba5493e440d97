// Room: images. Owns decompression: a blob's chunks in, the tar's chunks out; what is truncated or has more after it fails.
import { constants, createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from "node:zlib";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { invalidArgument, isSnapmillError } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import type { IsalInflater } from "../system/inflate/isal.ts";
import { maxPaddingBytes } from "../tar/blocks.ts";
import { gzipMagic } from "./gzip-header.ts";
import type { Compression } from "./image.ts";
import { isalGunzip, type Room } from "./isal-gunzip.ts";
import { maxWindowLog, ZstdFrames } from "./zstd-frames.ts";

type Decompressor = Gunzip | ZstdDecompress;

/** The largest chunk of decompressed bytes. */
export const chunkBytes = 2 ** 19;
/** How many bytes are decompressed in advance: the thread pool decompresses while this thread hashes. */
const readAheadBytes = 4 * chunkBytes;

/**
 * The decompressed chunks of `source`, each valid until the next is asked for. `source` is read to its end. `inflater`:
 * inflates gzip instead of node:zlib, into what `room` gives if it is given. Errors: invalid_argument for a stream that is
 * damaged, truncated or followed by garbage; what `source` and `room` throw.
 */
export function decompress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  inflater?: IsalInflater,
  room?: Room,
): AsyncIterable<Uint8Array> {
  const options = { chunkSize: chunkBytes, readableHighWaterMark: readAheadBytes };
  switch (compression) {
    case "none":
      return source;
    case "gzip":
      if (inflater !== undefined) return isalGunzip(source, inflater, room);
      return through(source, createGunzip(options), "gzip");
    case "zstd": {
      const params = { [constants.ZSTD_d_windowLogMax]: maxWindowLog };
      return through(withWholeFrames(source), createZstdDecompress({ ...options, params }), "zstd");
    }
  }
}

async function* withWholeFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  for await (const chunk of source) {
    frames.push(chunk);
    yield chunk;
  }
  frames.end();
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  decompressor: Decompressor,
  form: "gzip" | "zstd",
): AsyncGenerator<Uint8Array> {
  const abandoned = new Canceller();
  const feeding = feed(checkedStart(source, form), decompressor, form, abandoned.signal);
  // A failed source must reach the reader that waits for the next chunk.
  feeding.catch((error: Error) => decompressor.destroy(error));
  try {
    for await (const chunk of decompressor) yield chunk as Uint8Array;
    await feeding;
  } catch (error) {
    if (isSnapmillError(error) || !isStreamError(error)) throw error;
    throw invalidArgument(faultOf(form, error), error);
  } finally {
    abandoned.cancel(new AbortReason("over", "the stream is no longer read"));
    decompressor.destroy();
    await feeding.catch(() => undefined);
  }
}

/**
 * Where a member ends and something other than a zero follows, zlib expects another member. The stream's own start has
 * been checked, so a wrong magic number belongs to what follows.
 */
const faultOf = (form: "gzip" | "zstd", error: Error): string =>
  form === "gzip" && error.message === "incorrect header check"
    ? `garbage follows the ${form} stream`
    : `the ${form} stream is damaged or truncated: ${error.message}`;

/** Checks that a gzip stream begins as one; the frames of zstd are followed in any case. */
async function* checkedStart(source: AsyncIterable<Uint8Array>, form: "gzip" | "zstd"): AsyncGenerator<Uint8Array> {
  let seen = form === "gzip" ? 0 : gzipMagic.length;
  for await (const chunk of source) {
    for (let at = 0; seen < gzipMagic.length && at < chunk.length; at += 1, seen += 1) {
      if (chunk[at] !== gzipMagic[seen]) throw invalidArgument("the gzip stream is damaged: it does not start as one");
    }
    yield chunk;
  }
}

const isStreamError = (error: unknown): error is Error =>
  error instanceof Error && "code" in error && /^(Z|ZSTD|ERR_ZSTD|ERR_ZLIB)_/i.test(String(error.code));

async function feed(
  source: AsyncIterable<Uint8Array>,
  decompressor: Decompressor,
  form: string,
  abandoned: AbortSignal,
): Promise<void> {
  const write = writerInto(decompressor);
  let fedBytes = 0;
  let paddingBytes = 0;
  for await (const chunk of source) {
    const before = decompressor.bytesWritten;
    const isOver = before < fedBytes;
    if (!isOver) await write(chunk);
    if (abandoned.aborted) return;
    fedBytes += chunk.length;
    // The decompressor took less than it was given, so the stream has ended. Tape programs pad it with zeroes.
    const rest = chunk.subarray(isOver ? 0 : decompressor.bytesWritten - before);
    if (rest.some((byte) => byte !== 0)) throw invalidArgument(`garbage follows the ${form} stream`);
    paddingBytes += rest.length;
    // A sparse file holds any number of them.
    if (paddingBytes > maxPaddingBytes)
      throw invalidArgument(`more than ${formatSize(maxPaddingBytes)} of zeroes follow the ${form} stream`);
  }
  // A decompressor that has reached the end of its stream may be closed already.
  if (!decompressor.destroyed) decompressor.end();
}

/** Writes one chunk at a time; resolves when it is consumed, so that its memory can be reused. */
function writerInto(decompressor: Decompressor): (chunk: Uint8Array) => Promise<void> {
  let resume: () => void = () => undefined;
  // A decompressor that failed, or that was destroyed by its reader, never calls back.
  decompressor.once("close", () => resume());
  return (chunk) =>
    new Promise((resolve) => {
      resume = resolve;
      if (decompressor.destroyed) resolve();
      else decompressor.write(chunk, () => resolve());
    });
}
