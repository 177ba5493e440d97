// Room: images. Owns access to an image's files, which are the same from a directory and from an archive.
import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { failedPrecondition, isSnapmillError, notFound, type SnapmillError } from "../domain/errors.ts";
import { type Digest, digest } from "../domain/identifiers.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { openRegularFile, type RegularFile, regularFileSize } from "../system/file/regular-file.ts";
import type { BlobRange } from "./image.ts";

/** The files of a layout or archive, by the name that they have in it. Dispose of it to close what it holds. */
export interface ImageFiles extends AsyncDisposable {
  /** Where the bytes of the file called `name` are; undefined when there is no such file. */
  find(name: string): Promise<BlobRange | undefined>;
}

/** The status of what is at `path`, which is not opened; undefined when nothing is there. */
export async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): SnapmillError {
  if (isSnapmillError(error)) return error;
  return failedPrecondition(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
}

/**
 * The files below `directory`. A link is followed only within it. A layout may come from anyone: if a link could lead out
 * of it, its author could have root read any file of the host, and learn its size, its digest, or names in it from the
 * error. A hard link or a copy serves the same purpose.
 */
export async function openDirectory(directory: string): Promise<ImageFiles> {
  const found = await statOf(directory);
  if (found === undefined) throw notFound(`there is no directory ${directory}`);
  if (!found.isDirectory())
    throw failedPrecondition(`${directory} is no directory; for an archive use oci-archive:FILE`);
  const within = await realpath(directory).catch((error: unknown) => {
    throw unreadable(directory, error);
  });
  return {
    async find(name) {
      const path = join(within, name);
      try {
        const lengthBytes = await regularFileSize({ path, within });
        return lengthBytes === undefined ? undefined : { path, within, offsetBytes: 0, lengthBytes };
      } catch (error) {
        throw unreadable(path, error);
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/**
 * Opens the file of `range`. It is checked again, as another one may have been put in its place.
 * Errors: failed_precondition.
 */
export async function openRange(range: BlobRange): Promise<RegularFile> {
  try {
    return await openRegularFile(range);
  } catch (error) {
    throw unreadable(range.path, error);
  }
}

/** Fills `buffer` from `position`. Throws failed_precondition when the file ends before that. */
async function readFully({ handle }: RegularFile, buffer: Buffer, position: number, path: string): Promise<void> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await handle.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0) throw failedPrecondition(`${path} became shorter while it was read`);
    done += bytesRead;
  }
}

/** The first `lengthBytes` of the range, or all of it when it is shorter. */
export async function readStart(range: BlobRange, lengthBytes: number): Promise<Buffer> {
  await using file = await openRange(range);
  // Before memory is allocated for bytes that are no longer there.
  if (file.sizeBytes < range.offsetBytes + range.lengthBytes)
    throw failedPrecondition(`${range.path} became shorter while it was read`);
  const buffer = Buffer.alloc(Math.min(lengthBytes, range.lengthBytes));
  await readFully(file, buffer, range.offsetBytes, range.path);
  return buffer;
}

const pieceBytes = 1 << 20;

/** All bytes of the range in chunks, each valid until the next is requested. Throws the reason of `signal`. */
export async function* piecesOf(range: BlobRange, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  await using file = await openRange(range);
  const buffer = Buffer.allocUnsafe(pieceBytes);
  for (let done = 0; done < range.lengthBytes; ) {
    signal?.throwIfAborted();
    const piece = buffer.subarray(0, Math.min(buffer.length, range.lengthBytes - done));
    await readFully(file, piece, range.offsetBytes + done, range.path);
    yield piece;
    done += piece.length;
  }
}

/** The digest of the whole range, read as a stream. */
export async function digestOf(range: BlobRange, signal: AbortSignal | undefined): Promise<Digest> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const piece of piecesOf(range, signal)) hasher.update(piece);
  return digest(`sha256:${hasher.digest("hex")}`);
}
