// Room: images. Owns the access to an image's files, wherever they lie: a directory or an archive looks the same.
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { failedPrecondition, notFound } from "../domain/errors.ts";
import type { Digest } from "../domain/identifiers.ts";
import type { BlobRange, Compression } from "./image.ts";

/** The files of a layout or archive, by the name that they have in it. Dispose of it to close what it holds. */
export interface ImageFiles extends AsyncDisposable {
  /** Where the bytes of the file called `name` are; undefined when there is no such file. */
  find(name: string): Promise<BlobRange | undefined>;
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");

/** What is at `path`; undefined when nothing is. */
export async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw failedPrecondition(
      `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

/** The files below `directory`. */
export async function openDirectory(directory: string): Promise<ImageFiles> {
  const found = await statOf(directory);
  if (found === undefined) throw notFound(`there is no directory ${directory}`);
  if (!found.isDirectory())
    throw failedPrecondition(`${directory} is no directory; for an archive use oci-archive:FILE`);
  return {
    async find(name) {
      const path = join(directory, name);
      const file = await statOf(path);
      if (file === undefined) return undefined;
      if (!file.isFile()) throw failedPrecondition(`${path} is not a regular file`);
      return { path, offsetBytes: 0, lengthBytes: file.size };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The first `lengthBytes` of the range, or all of it when it is shorter. */
export async function readStart(range: BlobRange, lengthBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.min(lengthBytes, range.lengthBytes));
  await using handle = await open(range.path, "r");
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await handle.read(buffer, done, buffer.length - done, range.offsetBytes + done);
    if (bytesRead === 0) throw failedPrecondition(`${range.path} became shorter while it was read`);
    done += bytesRead;
  }
  return buffer;
}

const digestChunkBytes = 1 << 20;

/** The digest of the whole range, read as a stream. */
export async function digestOf(range: BlobRange, signal: AbortSignal | undefined): Promise<Digest> {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafe(digestChunkBytes);
  await using handle = await open(range.path, "r");
  let done = 0;
  while (done < range.lengthBytes) {
    signal?.throwIfAborted();
    const wanted = Math.min(buffer.length, range.lengthBytes - done);
    const { bytesRead } = await handle.read(buffer, 0, wanted, range.offsetBytes + done);
    if (bytesRead === 0) throw failedPrecondition(`${range.path} became shorter while it was read`);
    hasher.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
  return `sha256:${hasher.digest("hex")}` as Digest;
}

/** What the first bytes of a file give it away as. "foreign": compressed in a way that is not supported. */
export type Content = Compression | "foreign";

/** Sniffed from the magic numbers of RFC 1952, RFC 8878 (skippable frames too), bzip2, xz and lz4. */
export async function contentOf(range: BlobRange): Promise<Content> {
  const start = (await readStart(range, 6)).toString("hex");
  if (start.startsWith("1f8b")) return "gzip";
  if (start.startsWith("28b52ffd") || /^5.2a4d18/.test(start)) return "zstd";
  return /^(?:425a68|fd377a585a00|04224d18)/.test(start) ? "foreign" : "none";
}
