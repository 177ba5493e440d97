// Room: test. Owns requests to a writer for tars that a test has made.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { diffId, digest } from "../../src/domain/identifiers.ts";
import type { BlobRange, Compression } from "../../src/images/image.ts";
import type { ApplyRequest } from "../../src/unpack/protocol.ts";
import { type BlobForm, compressed, sha256 } from "../support/images.ts";

const compressionOf = (form: BlobForm): Compression => {
  if (form === "none") return "none";
  return form.startsWith("gzip") ? "gzip" : "zstd";
};

/** Stores the tar in a file below `directory`, with bytes that are not the blob's around it if asked for. */
export async function requestFor(
  directory: string,
  devicePath: string,
  tarBytes: Buffer,
  form: BlobForm = "none",
  around: { readonly before: number; readonly behind: number } = { before: 0, behind: 0 },
): Promise<ApplyRequest & { readonly blob: BlobRange }> {
  const blob = compressed(tarBytes, form);
  const path = join(directory, crypto.randomUUID());
  await writeFile(path, Buffer.concat([Buffer.alloc(around.before, 1), blob, Buffer.alloc(around.behind, 2)]));
  return {
    devicePath,
    fsType: "ext4",
    mountOptions: [],
    blob: { path, offsetBytes: around.before, lengthBytes: blob.length },
    compression: compressionOf(form),
    digest: digest(sha256(blob)),
    diffId: diffId(sha256(tarBytes)),
    spaceGuards: [],
  };
}
