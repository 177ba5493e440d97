// Room: images. Owns images in registries: from a name and a platform to layers that can be fetched.
import { failedPrecondition } from "../../domain/errors.ts";
import { DocumentReader } from "../document-reader.ts";
import { documents, fieldsOf, judge, textOf } from "../documents.ts";
import type { ImageFiles } from "../files.ts";
import type { ImageLayer, RemoteBlob } from "../image.ts";
import { type IndexEntry, indexEntry, indexTypes } from "../index-entry.ts";
import { parseJson } from "../json.ts";
import { checkCounts, checkStoredBytes, layerType } from "../layers.ts";
import { type ChosenImage, chooseImage, type FoundImage } from "../layout.ts";
import { formatPlatform, type Platform } from "../platform.ts";
import type { BlobStore } from "./blob-store.ts";
import { type BlobLimits, type RemoteBlobDescriptor, streamBlob } from "./blobs.ts";
import { type FetchedDocument, RegistryDocuments } from "./documents.ts";
import type { KeptBlobs } from "./kept-blobs.ts";
import type { RegistryName } from "./name.ts";
import type { Repository } from "./repository.ts";
import { readShared } from "./shared-blobs.ts";

const schema1Type = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

const noFiles: ImageFiles = {
  find: () => Promise.resolve(undefined),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** The document's own media type counts before the Content-Type: some servers send everything as text or JSON. */
function mediaTypeOf(value: unknown, { contentType }: FetchedDocument): string {
  const { mediaType, schemaVersion } = fieldsOf(value);
  const type = textOf(mediaType) || contentType;
  if (schema1Type.test(type) || schemaVersion === 1) {
    throw failedPrecondition("its manifest is of docker's schema 1, which is not supported; push the image again");
  }
  return type;
}

/** The entries of an index, or the manifest as if it were the only one. */
async function entriesOf(reader: DocumentReader, top: FetchedDocument): Promise<readonly IndexEntry[]> {
  const what = `the manifest ${top.digest}`;
  const value = parseJson(top.bytes, what);
  const mediaType = mediaTypeOf(value, top);
  if (!indexTypes.includes(mediaType)) {
    return [indexEntry({ mediaType, digest: top.digest, size: top.bytes.length }, 0)];
  }
  const entries = await reader.entriesOf(judge(documents.index, value, what).manifests);
  const images = entries.filter(({ isArtifact }) => !isArtifact);
  if (images.length === 0) throw failedPrecondition("its index holds no container image");
  return images;
}

/** What is needed to fetch layers, besides the repository. */
export interface LayerFetching {
  readonly limits: BlobLimits;
  /** In the memory of this process. */
  readonly kept: KeptBlobs;
  /** On disk, for all workers; undefined: none. */
  readonly store: BlobStore | undefined;
  /** `host[:port]`, as the image's name has it. */
  readonly registry: string;
  /** The image is one of several that are unpacked in one go. */
  readonly isOneOfMany: boolean;
}

/** A blob is stored only where another reader is likely: the file costs the disk a second write. */
function openShared(
  repository: Repository,
  blob: RemoteBlobDescriptor,
  { limits, store, registry, isOneOfMany }: LayerFetching,
  isRepeated: boolean,
): AsyncGenerator<Uint8Array> {
  if (store === undefined || blob.sizeBytes === 0) return streamBlob(repository, blob, limits);
  return readShared(store, {
    blob: { ...blob, registry },
    isWanted: isRepeated || isOneOfMany || store.othersWait,
    fetch: (offsetBytes, hasher) => streamBlob(repository, blob, limits, offsetBytes, hasher),
    signal: repository.options.signal,
  });
}

function layersOf({ image }: ChosenImage, repository: Repository, fetching: LayerFetching): ImageLayer<RemoteBlob>[] {
  const { limits, kept } = fetching;
  const diffIds = image.config.rootfs.diff_ids;
  checkCounts(image.layers.length, diffIds.length);
  checkStoredBytes(image.layers.map(({ size: lengthBytes }) => ({ lengthBytes })));
  return image.layers.flatMap(({ digest, size: sizeBytes, mediaType }, index) => {
    const layer = `layer ${index + 1} of ${diffIds.length} (${digest})`;
    const { compression, isForeign } = layerType(mediaType, layer);
    if (isForeign) throw failedPrecondition(`${layer} is a foreign layer, which is not fetched from where it lies`);
    const blob = { digest, sizeBytes };
    const isRepeated = image.layers.some((other, place) => place !== index && other.digest === digest);
    const open = (offsetBytes: number, signal?: AbortSignal) =>
      kept.read(blob, offsetBytes, () => {
        const bounded = repository.until(signal);
        if (offsetBytes > 0) return streamBlob(bounded, blob, limits, offsetBytes);
        return openShared(bounded, blob, fetching, isRepeated);
      });
    const diffId = diffIds[index];
    return diffId === undefined ? [] : [{ digest, diffId, compression, blob: { lengthBytes: sizeBytes, open } }];
  });
}

/** The image that `name` and platform choose. Errors do not name the image: the caller does. */
export async function resolveRegistryImage(
  repository: Repository,
  name: RegistryName,
  wanted: Platform,
  fetching: LayerFetching,
): Promise<FoundImage<RemoteBlob>> {
  const fetcher = new RegistryDocuments(repository);
  const top = await fetcher.named(name);
  const fetch = fetcher.described.bind(fetcher);
  const reader = new DocumentReader(noFiles, repository.options.signal, fetch);
  const chosen = await chooseImage(reader, await entriesOf(reader, top), wanted);
  const manifestDigest = chosen.image.descriptor.digest;
  return {
    platform: formatPlatform(chosen.platform),
    manifestDigest,
    resolvedDigest: top.digest === manifestDigest ? undefined : top.digest,
    layers: layersOf(chosen, repository, fetching),
  };
}
