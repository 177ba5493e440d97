// Room: images. Owns the decompression of a whole archive into a file without a name, which cannot outlive its process.
import { createReadStream } from "node:fs";
import { constants, type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { failedPrecondition, resourceExhausted } from "../domain/errors.ts";
import { spaceOf } from "../system/space.ts";

/** Linux's O_TMPFILE (O_DIRECTORY is part of it), which node does not name. */
const openUnnamed = 0o20000000 | constants.O_DIRECTORY;
const chunkBytes = 1 << 20;
/** Left free on the temporary directory's file system, and how often that is looked at. */
const minFreeBytes = 256 << 20;
const spaceCheckBytes = 64 << 20;

/** A file with no name; where the file system cannot make one, it loses its name at once. */
async function openTemporary(directory: string): Promise<FileHandle> {
  try {
    return await open(directory, openUnnamed | constants.O_RDWR, 0o600);
  } catch {
    const path = join(directory, `snapmill-archive-${crypto.randomUUID()}`);
    const handle = await open(path, "wx+", 0o600);
    await rm(path);
    return handle;
  }
}

/** Writes all of `chunks`, and gives up before the file system is full: a small archive can hold any number of bytes. */
async function writeGuarded(handle: FileHandle, directory: string, chunks: AsyncIterable<Buffer>): Promise<void> {
  let writtenBytes = 0;
  let checkAtBytes = 0;
  for await (const chunk of chunks) {
    if (writtenBytes >= checkAtBytes) {
      const { freeBytes } = await spaceOf(directory);
      if (freeBytes < minFreeBytes) {
        throw resourceExhausted(
          `there is no room in ${directory} to decompress the archive; make room, or decompress it yourself`,
        );
      }
      checkAtBytes = writtenBytes + spaceCheckBytes;
    }
    for (let done = 0; done < chunk.length; ) done += (await handle.write(chunk, done)).bytesWritten;
    writtenBytes += chunk.length;
  }
}

export interface Decompressed extends AsyncDisposable {
  /** Good while this is not disposed of and this process lives; also for this process's children. */
  readonly path: string;
}

/** The decompressed content of `archive`, in a file on the file system of `directory`. */
export async function decompressArchive(
  archive: string,
  compression: "gzip" | "zstd",
  directory: string,
  signal: AbortSignal | undefined,
): Promise<Decompressed> {
  const handle = await openTemporary(directory);
  try {
    const source = createReadStream(archive, { highWaterMark: chunkBytes });
    const decompressor =
      compression === "gzip"
        ? createGunzip({ chunkSize: chunkBytes })
        : createZstdDecompress({ chunkSize: chunkBytes });
    const write = (chunks: AsyncIterable<Buffer>) => writeGuarded(handle, directory, chunks);
    await pipeline(source, decompressor, write, signal ? { signal } : {});
    // The zstd decompressor does not mind a stream that ends too early; what comes after is found by the tar's index.
    if ((await handle.stat()).size === 0) throw failedPrecondition(`${archive} is cut short; fetch it again`);
  } catch (error) {
    await handle.close();
    signal?.throwIfAborted();
    if (error instanceof Error && "code" in error && String(error.code).startsWith("Z")) {
      throw failedPrecondition(`${archive} is a damaged ${compression} file (${error.message}); fetch it again`, error);
    }
    throw error;
  }
  return {
    path: `/proc/${process.pid}/fd/${handle.fd}`,
    [Symbol.asyncDispose]: () => handle.close(),
  };
}
