// Room: images. Owns what a manifest says about its layers, checked against what is stored.
import { failedPrecondition } from "../domain/errors.ts";
import type { DiffId } from "../domain/identifiers.ts";
import { quoted } from "../domain/quoted.ts";
import { formatSize } from "../domain/units.ts";
import { type Content, contentOf } from "./content.ts";
import { blobName, type DocumentReader } from "./document-reader.ts";
import type { Descriptor } from "./documents.ts";
import type { BlobRange, Compression, ImageLayer } from "./image.ts";

/** Of all layers of an image. */
const maxStoredBytes = 2 ** 40;

const layerPattern =
  /^application\/vnd\.(?:oci\.image\.layer(\.nondistributable)?\.v1\.tar|docker\.image\.rootfs(\.foreign)?\.diff\.tar)(?:[+.](.+))?$/;

/** Whether a manifest is an image's, judged by its layers: signatures have a configuration like an image's. */
export const areLayers = (blobs: readonly Descriptor[]): boolean =>
  blobs.length === 0 || blobs.some(({ mediaType }) => layerPattern.test(mediaType));

interface LayerType {
  readonly compression: Compression;
  /** A layer that is allowed to be absent: it has to be fetched from elsewhere. */
  readonly isForeign: boolean;
}

/** What a layer's media type says; `layer` names it in the error. Types: OCI image specification, docker's manifest v2. */
export function layerType(mediaType: string, layer: string): LayerType {
  const match = layerPattern.exec(mediaType);
  if (match === null)
    throw failedPrecondition(`${layer} has the media type ${quoted(mediaType)}, which is no file system layer`);
  const [, nondistributable, foreign, suffix] = match;
  const isForeign = nondistributable !== undefined || foreign !== undefined;
  switch (suffix) {
    case undefined:
      return { compression: "none", isForeign };
    case "gzip":
    case "zstd":
      return { compression: suffix, isForeign };
    default:
      break;
  }
  if (suffix.endsWith("encrypted")) {
    throw failedPrecondition(`${layer} is encrypted; decrypt the image first (skopeo copy --decryption-key)`);
  }
  throw failedPrecondition(`${layer} is compressed as ${quoted(suffix)}; only gzip and zstd are supported`);
}

/**
 * How the layer is really compressed. As in containerd, docker and podman, its bytes count more than its media type:
 * docker uses the plain type for compressed layers too, and digest and diff ID are verified in any case.
 */
export const compressionOf = async (range: BlobRange, expected: Compression, layer: string): Promise<Compression> =>
  compressionOfContent(await contentOf(range, expected), expected, layer);

/** The same for a layer whose `content` is known. */
export function compressionOfContent(content: Content, expected: Compression, layer: string): Compression {
  switch (content.kind) {
    case "none":
    case "gzip":
    case "zstd":
      return content.kind;
    case "foreign":
      throw failedPrecondition(
        `${layer} is compressed in a way that is not supported (${content.name}); only gzip and zstd are`,
      );
    case "unknown":
      // It may still be a tar: its reader decides.
      if (expected === "none") return "none";
      throw failedPrecondition(
        `${layer} should be ${expected} by its media type, but is not, nor is it a tar; fetch or build the image again`,
      );
  }
}

/** One layer, after checking that its blob exists, has the right size and starts like a layer. */
async function checkLayer(
  { files }: DocumentReader,
  blob: Descriptor,
  diffId: DiffId,
  position: string,
): Promise<ImageLayer> {
  const layer = `layer ${position} (${blob.digest})`;
  const { compression, isForeign } = layerType(blob.mediaType, layer);
  const range = await files.find(blobName(blob.digest));
  if (range === undefined) {
    throw failedPrecondition(
      isForeign
        ? `${layer} is a foreign layer, which the image does not contain: copy the image with its foreign layers`
        : `${layer} is missing; fetch or build the image again`,
    );
  }
  if (range.lengthBytes !== blob.size) {
    throw failedPrecondition(
      `${layer} has ${range.lengthBytes} bytes, not ${blob.size}; fetch or build the image again`,
    );
  }
  return { digest: blob.digest, diffId, compression: await compressionOf(range, compression, layer), blob: range };
}

/** As many layers as diff IDs, and at least one. Throws failed_precondition. */
export function checkCounts(layers: number, diffIds: number): void {
  if (layers !== diffIds) {
    throw failedPrecondition(
      `its manifest has ${layers} layers, but its configuration ${diffIds} diff IDs; build the image again`,
    );
  }
  if (layers === 0) throw failedPrecondition("it has no layers: there is nothing to unpack");
}

/**
 * A sparse file can have any size and take hours to read. Registries accept layers of some 50 GiB.
 * Throws failed_precondition.
 */
export function checkStoredBytes(layers: readonly { readonly lengthBytes: number }[]): void {
  const bytes = layers.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  if (bytes > maxStoredBytes)
    throw failedPrecondition(
      `its layers have ${formatSize(bytes)} as stored; the limit is ${formatSize(maxStoredBytes)}`,
    );
}

/** Most of a check is the wait for the file system. */
const checkedAtOnce = 16;

/** What all come to; waits for all, so that of several failures the first by its place is thrown, and nothing goes on. */
async function allInOrder<T>(checks: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(checks);
  const found: T[] = [];
  for (const check of checks) found.push(await check);
  return found;
}

/** The layers of an OCI manifest, bottom first. */
export async function checkLayers(
  reader: DocumentReader,
  blobs: readonly Descriptor[],
  diffIds: readonly DiffId[],
): Promise<readonly ImageLayer[]> {
  checkCounts(blobs.length, diffIds.length);
  const checks = blobs.flatMap((blob, index) => {
    const diffId = diffIds[index];
    return diffId === undefined ? [] : [() => checkLayer(reader, blob, diffId, `${index + 1} of ${blobs.length}`)];
  });
  const layers: ImageLayer[] = [];
  for (let at = 0; at < checks.length; at += checkedAtOnce) {
    reader.throwIfAborted();
    layers.push(...(await allInOrder(checks.slice(at, at + checkedAtOnce).map((check) => check()))));
  }
  checkStoredBytes(layers.map(({ blob }) => blob));
  return layers;
}
