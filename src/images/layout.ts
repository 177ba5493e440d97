// Room: images. Owns OCI layouts: from `index.json` by tag and platform down to one image's layers.
import { failedPrecondition, notFound, SnapmillError } from "../domain/errors.ts";
import { quoted } from "../domain/quoted.ts";
import { type Candidates, collectCandidates, isSkippable } from "./candidates.ts";
import type { DocumentReader } from "./document-reader.ts";
import { type Descriptor, documents, type ImageConfig, judge } from "./documents.ts";
import type { BlobRange, LayerBlob, ResolvedImage } from "./image.ts";
import { configTypes, type IndexEntry, manifestTypes } from "./index-entry.ts";
import { areLayers, checkLayers } from "./layers.ts";
import { formatPlatform, normalizePlatform, type Platform, platformDistance } from "./platform.ts";
import type { Selector } from "./reference.ts";
import { selectEntries } from "./select-entry.ts";

/** A resolved image, without its reference and its files. */
export type FoundImage<Blob extends LayerBlob = BlobRange> = Pick<
  ResolvedImage<Blob>,
  "platform" | "manifestDigest" | "resolvedDigest" | "layers"
>;

/** A manifest that describes something other than a container image, or may do so. */
class NoImage extends SnapmillError {
  constructor(message: string) {
    super("failed_precondition", message);
  }
}

interface ReadImage {
  readonly descriptor: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly config: ImageConfig;
}

/** The entry's manifest and configuration, now that it is chosen. */
async function readImage(reader: DocumentReader, { value, mediaType, number }: IndexEntry): Promise<ReadImage> {
  const ofAnotherType = () =>
    new NoImage(
      `its manifest has the media type ${quoted(mediaType)}; only OCI manifests and docker's version 2 are supported`,
    );
  if (mediaType !== "" && !manifestTypes.includes(mediaType)) throw ofAnotherType();
  const descriptor = judge(documents.descriptor, value, `entry ${number} of its index`);
  if (mediaType === "") throw ofAnotherType();
  const manifest = await reader.blob(documents.manifest, descriptor, "manifest");
  if (manifest.mediaType !== "" && manifest.mediaType !== mediaType) {
    throw failedPrecondition(`its manifest calls itself ${quoted(manifest.mediaType)}, its index ${mediaType}`);
  }
  const { config } = manifest;
  if (!configTypes.includes(config.mediaType))
    throw new NoImage(`it is no container image: its configuration is ${quoted(config.mediaType)}`);
  if (!areLayers(manifest.layers))
    throw new NoImage(`it is no container image: its layers are ${quoted(manifest.layers[0]?.mediaType ?? "")}`);
  const read = await reader.blob(documents.config, config, "configuration");
  return { descriptor, layers: manifest.layers, config: read };
}

/** The image's platform; a configuration that names none fits every platform. */
export const platformOfConfig = (config: ImageConfig, wanted: Platform): Platform =>
  saysPlatform(config) ? normalizePlatform(config.os, config.architecture, config.variant) : wanted;

const saysPlatform = ({ os, architecture }: ImageConfig): boolean => os !== "" && architecture !== "";

const maxListed = 40;

/** The error for an image that exists only for other platforms. */
export function noSuchPlatform(wanted: Platform, offered: readonly string[]) {
  const names = [...new Set(offered)];
  if (names.length === 0) return notFound(`it is not for ${formatPlatform(wanted)}, nor for any other platform`);
  const listed = names.slice(0, maxListed).join(", ") + (names.length > maxListed ? ", …" : "");
  return notFound(`it is not for ${formatPlatform(wanted)}; pass --platform with one of: ${listed}`);
}

/** The error for a directory that is no layout: its files may show what it is instead. */
async function noLayout({ files }: DocumentReader) {
  if ((await files.find("manifest.json")) === undefined)
    return failedPrecondition("it is no OCI layout: there is no file oci-layout in it");
  if ((await files.find("version")) !== undefined)
    return failedPrecondition(
      "it is a directory of skopeo's own form: copy it first (skopeo copy dir:DIR oci:OTHER:TAG)",
    );
  return failedPrecondition("it is a docker archive: use docker-archive:FILE");
}

/** Refuses an unknown version: a new major version may have to be read differently. */
async function checkLayoutVersion(reader: DocumentReader): Promise<void> {
  const layout = await reader.entryPoint(documents.ociLayout, "oci-layout");
  if (layout === undefined) throw await noLayout(reader);
  if (!/^1\.\d+\.\d+$/.test(layout.imageLayoutVersion)) {
    throw failedPrecondition(
      `it is an OCI layout of version ${quoted(layout.imageLayoutVersion)}; only 1.x is supported`,
    );
  }
}

export interface ChosenImage {
  readonly image: ReadImage;
  readonly platform: Platform;
}

/** The nearest entry whose platform the index states. Entries that are no images are skipped; damaged ones are errors. */
async function chooseBySaidPlatform(
  reader: DocumentReader,
  { fitting }: Candidates,
  problems: unknown[],
): Promise<ChosenImage | undefined> {
  for (const { entry, platform } of fitting) {
    try {
      return { image: await readImage(reader, entry), platform };
    } catch (error) {
      reader.throwIfAborted();
      if (!(error instanceof NoImage)) throw error;
      problems.push(error);
    }
  }
  return undefined;
}

/** The nearest entry among those whose configuration must be read. An unreadable one may be for another platform. */
async function chooseByConfiguration(
  reader: DocumentReader,
  { unsaid, offered }: Candidates,
  wanted: Platform,
  problems: unknown[],
): Promise<ChosenImage | undefined> {
  let best: (ChosenImage & { readonly distance: number }) | undefined;
  for (const entry of unsaid) {
    try {
      const image = await readImage(reader, entry);
      const platform = platformOfConfig(image.config, wanted);
      // An image whose configuration names no platform comes last.
      const distance = saysPlatform(image.config) ? platformDistance(wanted, platform) : Number.MAX_VALUE;
      if (distance === undefined) offered.push(formatPlatform(platform));
      else if (best === undefined || distance < best.distance) best = { image, platform, distance };
    } catch (error) {
      reader.throwIfAborted();
      if (!isSkippable(error)) throw error;
      problems.push(error);
    }
    if (best?.distance === 0) break;
  }
  return best;
}

/** The image that fits `wanted` best, in `entries` and the indexes below them. The caller adds the image's name to errors. */
export async function chooseImage(
  reader: DocumentReader,
  entries: readonly IndexEntry[],
  wanted: Platform,
): Promise<ChosenImage> {
  const candidates = await collectCandidates(reader, entries, wanted);
  const problems: unknown[] = [...candidates.problems];
  const chosen =
    (await chooseBySaidPlatform(reader, candidates, problems)) ??
    (await chooseByConfiguration(reader, candidates, wanted, problems));
  if (chosen !== undefined) return chosen;
  if (candidates.offered.length === 0 && problems.length > 0) throw problems[0];
  throw noSuchPlatform(wanted, candidates.offered);
}

/** The image of an OCI layout that `selector` and platform choose. */
export async function resolveLayout(reader: DocumentReader, selector: Selector, wanted: Platform): Promise<FoundImage> {
  await checkLayoutVersion(reader);
  const index = await reader.entryPoint(documents.index, "index.json");
  if (index === undefined) throw failedPrecondition("it is no OCI layout: there is no index.json in it");
  const entries = selectEntries(await reader.entriesOf(index.manifests), selector);
  const { image, platform } = await chooseImage(reader, entries, wanted);
  return {
    platform: formatPlatform(platform),
    manifestDigest: image.descriptor.digest,
    layers: await checkLayers(reader, image.layers, image.config.rootfs.diff_ids),
  };
}
