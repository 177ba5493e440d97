// Room: images. Owns the decompression of a whole archive into an unnamed file, which cannot outlive its process.
import { constants, type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { failedPrecondition, isSnapmillError, resourceExhausted } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { spaceOf } from "../system/file/space.ts";
import { maxPaddingBytes } from "../tar/blocks.ts";
import { ArchiveIndex } from "./archive-index.ts";
import { decompress } from "./decompress.ts";
import { piecesOf } from "./files.ts";
import type { BlobRange } from "./image.ts";

/** Linux's O_TMPFILE (O_DIRECTORY is part of it), which node does not name. */
const openUnnamed = 0o20000000 | constants.O_DIRECTORY;
/** After how many bytes the free space of the temporary directory is checked again. */
const spaceCheckBytes = 64 << 20;
const minFreeBytes = 256 << 20;
const maxArchiveBytes = 64 * 2 ** 30;

/**
 * Whether an archive of which `writtenBytes` are written may grow to `totalBytes` with `freeBytes` free now. A small
 * archive can decompress to any size, and several may do so at once: it must leave as much as it takes, and 256 MiB.
 */
export function isRoomFor(totalBytes: number, writtenBytes: number, freeBytes: number): boolean {
  const leftBytes = freeBytes - Math.max(0, totalBytes - writtenBytes);
  return totalBytes <= maxArchiveBytes && leftBytes >= Math.max(minFreeBytes, totalBytes);
}

/** A file without a name; where the file system cannot make one, it is unlinked at once. */
async function openTemporary(directory: string): Promise<FileHandle> {
  try {
    return await open(directory, openUnnamed | constants.O_RDWR, 0o600);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOSPC", "EDQUOT")) throw error;
    const path = join(directory, `snapmill-archive-${crypto.randomUUID()}`);
    const handle = await open(path, "wx+", 0o600);
    await rm(path);
    return handle;
  }
}

interface Spool {
  readonly archive: string;
  readonly directory: string;
  readonly handle: FileHandle;
  readonly index: ArchiveIndex;
  readonly signal: AbortSignal | undefined;
}

/** Refuses an archive that takes too much space, by what is written or by the sizes in the tar's headers. */
class RoomCheck {
  readonly #spool: Spool;
  #checkAtBytes = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  async written(writtenBytes: number): Promise<void> {
    const { archive, directory, index } = this.#spool;
    const totalBytes = Math.max(writtenBytes, index.claimedBytes);
    if (totalBytes < this.#checkAtBytes) return;
    this.#checkAtBytes = totalBytes + spaceCheckBytes;
    const { freeBytes } = await spaceOf(directory);
    if (isRoomFor(totalBytes, writtenBytes, freeBytes)) return;
    throw resourceExhausted(
      `${archive} has ${formatSize(totalBytes)} or more when it is decompressed, and ${directory} has ` +
        `${formatSize(freeBytes)} free: an archive may take as much as it leaves, ${formatSize(maxArchiveBytes)} at most; ` +
        "make room there, or decompress it yourself",
    );
  }
}

/** Writes the tar up to its end marker. The rest of the stream is only read, because a checksum follows. */
async function fill(spool: Spool, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const { archive, handle, index, signal } = spool;
  const room = new RoomCheck(spool);
  let writtenBytes = 0;
  let paddingBytes = 0;
  await room.written(0);
  for await (const chunk of chunks) {
    // For each decompressed chunk: a few compressed bytes can become many GiB.
    signal?.throwIfAborted();
    if (index.isOver) {
      paddingBytes += chunk.length;
      if (paddingBytes > maxPaddingBytes)
        throw failedPrecondition(
          `${archive} continues for more than ${formatSize(maxPaddingBytes)} after its tar's end`,
        );
      continue;
    }
    for (let done = 0; done < chunk.length; ) done += (await handle.write(chunk, done)).bytesWritten;
    writtenBytes += chunk.length;
    await index.advance(writtenBytes, false);
    await room.written(writtenBytes);
  }
  await index.advance(writtenBytes, true);
}

function explained(error: unknown, archive: string, directory: string): unknown {
  if (isSnapmillError(error, "invalid_argument"))
    return failedPrecondition(`${archive} cannot be decompressed: ${error.message}`, error);
  if (isErrno(error, "ENOSPC", "EDQUOT", "EFBIG"))
    return resourceExhausted(`there is no room in ${directory} to decompress ${archive}; make room`, error);
  return error;
}

export interface Spooled extends AsyncDisposable {
  /** Its ranges are valid until this is disposed of or the process ends, also in the process's children. */
  readonly index: ArchiveIndex;
}

export interface CompressedArchive {
  /** The archive's name for the user. */
  readonly archive: string;
  readonly range: BlobRange;
  readonly compression: "gzip" | "zstd";
}

/** Decompresses the archive into a file on the file system of `directory`, and indexes it. */
export async function spoolArchive(
  { archive, range, compression }: CompressedArchive,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<Spooled> {
  await using cleanup = new AsyncDisposableStack();
  try {
    const handle = await openTemporary(directory);
    cleanup.defer(() => handle.close());
    const place = { path: `/proc/${process.pid}/fd/${handle.fd}` };
    const index = new ArchiveIndex({ handle, place, archive }, signal);
    const chunks = decompress(piecesOf(range, signal), compression);
    await fill({ archive, directory, handle, index, signal }, chunks);
    const held = cleanup.move();
    return { index, [Symbol.asyncDispose]: () => held.disposeAsync() };
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error, archive, directory);
  }
}
