// Room: images. Owns random access to the members of a tar archive, without extracting it.
import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { ArchiveIndex } from "./archive-index.ts";
import { contentOf } from "./content.ts";
import { type ImageFiles, openRange, statOf } from "./files.ts";
import type { BlobRange } from "./image.ts";
import { spoolArchive } from "./spool.ts";

export interface ArchiveOptions {
  /** Where a compressed archive is decompressed to. */
  readonly tempDir: string;
  readonly signal: AbortSignal | undefined;
}

/** The file at `archive`, by its real path: a link that is put in its place later must not lead to another directory. */
async function findArchive(archive: string): Promise<BlobRange> {
  const found = await statOf(archive);
  if (found === undefined) throw notFound(`there is no file ${archive}`);
  if (found.isDirectory())
    throw failedPrecondition(`${archive} is no file; for the directory of an OCI layout use oci:DIR`);
  if (!found.isFile()) {
    throw failedPrecondition(
      `${archive} is a pipe or a device: an archive is read more than once, and by other processes, ` +
        "so it must be a file (docker save -o FILE IMAGE)",
    );
  }
  const path = await realpath(archive);
  return { path, within: dirname(path), offsetBytes: 0, lengthBytes: found.size };
}

/** The members of the tar archive at `archive`, which may be compressed with gzip or zstd. */
export async function openArchive(archive: string, { tempDir, signal }: ArchiveOptions): Promise<ImageFiles> {
  const range = await findArchive(archive);
  const content = await contentOf(range);
  switch (content.kind) {
    case "foreign":
      throw failedPrecondition(
        `${archive} is compressed with ${content.name}, which is not supported; decompress it first`,
      );
    case "gzip":
    case "zstd": {
      const spooled = await spoolArchive({ archive, range, compression: content.kind }, tempDir, signal);
      return {
        find: async (name) => spooled.index.find(name),
        [Symbol.asyncDispose]: () => spooled[Symbol.asyncDispose](),
      };
    }
    case "none":
    case "unknown": {
      const index = await indexInPlace(archive, range, signal);
      return { find: async (name) => index.find(name), [Symbol.asyncDispose]: () => Promise.resolve() };
    }
  }
}

async function indexInPlace(archive: string, range: BlobRange, signal: AbortSignal | undefined): Promise<ArchiveIndex> {
  await using file = await openRange(range);
  const place = { path: range.path, within: range.within };
  const index = new ArchiveIndex({ handle: file.handle, place, archive }, signal);
  await index.advance(file.sizeBytes, true);
  return index;
}
