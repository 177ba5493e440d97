// Room: images. Owns what a manifest says of its layers, checked against what is really stored.
import { failedPrecondition } from "../domain/errors.ts";
import type { DiffId } from "../domain/identifiers.ts";
import { blobName, type Descriptor } from "./documents.ts";
import { contentOf, type ImageFiles } from "./files.ts";
import type { Compression, ImageLayer } from "./image.ts";

const layerPattern =
  /^application\/vnd\.(?:oci\.image\.layer(\.nondistributable)?\.v1\.tar|docker\.image\.rootfs(\.foreign)?\.diff\.tar)(?:[+.](.+))?$/;

interface LayerType {
  readonly compression: Compression;
  /** Its bytes may lawfully be absent: they are to be fetched from elsewhere. */
  readonly isForeign: boolean;
}

/** What a layer's media type says; `layer` names it in the error. Types: OCI image specification, docker's manifest v2. */
function layerType(mediaType: string, layer: string): LayerType {
  const match = layerPattern.exec(mediaType);
  if (match === null) {
    throw failedPrecondition(`${layer} has the media type ${JSON.stringify(mediaType)}, which is no file system layer`);
  }
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
  throw failedPrecondition(`${layer} is compressed as ${JSON.stringify(suffix)}; only gzip and zstd are supported`);
}

/** One layer: its blob is there, has the size that it should, and starts as its media type promises. */
async function checkLayer(files: ImageFiles, blob: Descriptor, diffId: DiffId, position: string): Promise<ImageLayer> {
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
  const content = await contentOf(range);
  if (content !== compression) {
    const wanted = compression === "none" ? "an uncompressed tar" : compression;
    const found = content === "none" ? "is not" : `is compressed otherwise (${content})`;
    throw failedPrecondition(`${layer} should be ${wanted} by its media type, but ${found}; build the image again`);
  }
  return { digest: blob.digest, diffId, compression, blob: range };
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

/** The layers of an OCI manifest, bottom first. */
export async function checkLayers(
  files: ImageFiles,
  blobs: readonly Descriptor[],
  diffIds: readonly DiffId[],
): Promise<readonly ImageLayer[]> {
  checkCounts(blobs.length, diffIds.length);
  const layers: ImageLayer[] = [];
  for (const [index, blob] of blobs.entries()) {
    const diffId = diffIds[index];
    if (diffId !== undefined) layers.push(await checkLayer(files, blob, diffId, `${index + 1} of ${blobs.length}`));
  }
  return layers;
}
