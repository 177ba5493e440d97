// Room: images. Owns the decompression of a whole archive into a file without a name, which cannot outlive its process.
import { createReadStream } from "node:fs";
import { constants, type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
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

/** Writes to `handle`, and gives up before the file system is full: a small archive can hold any number of bytes. */
function guardedWriter(handle: FileHandle, directory: string): Writable {
  let writtenBytes = 0;
  let checkAtBytes = 0;
  const write = async (chunk: Buffer): Promise<void> => {
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
  };
  return new Writable({
    highWaterMark: chunkBytes,
    write: (chunk: Buffer, _encoding, done) => {
      write(chunk).then(() => done(), done);
    },
  });
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
    await pipeline(source, decompressor, guardedWriter(handle, directory), ...(signal ? [{ signal }] : []));
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
