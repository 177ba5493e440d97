// Room: images. Owns archives of `docker save`: from `manifest.json` by name and tag down to one image's layers.
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { type DiffId, type Digest, digest } from "../domain/identifiers.ts";
import { documents, readDocument, readDocumentBytes, sha256Of } from "./documents.ts";
import { contentOf, digestOf, type ImageFiles } from "./files.ts";
import type { BlobRange, ImageLayer } from "./image.ts";
import { checkCounts } from "./layers.ts";
import { type FoundImage, noSuchPlatform, platformOfConfig } from "./layout.ts";
import { formatPlatform, type Platform, platformDistance } from "./platform.ts";
import { fullDockerName, type Selector } from "./reference.ts";

interface ArchivedImage {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null | undefined;
  readonly Layers: readonly string[];
}

function listNames(images: readonly ArchivedImage[]): string {
  const listed = images.slice(0, 20).map(({ RepoTags }, index) => RepoTags?.[0] ?? `@${index}`);
  return listed.join(", ") + (images.length > listed.length ? ", …" : "");
}

const fullName = (name: string): string => fullDockerName(name) ?? name;

function selectImage(images: readonly ArchivedImage[], selector: Selector): ArchivedImage {
  const [first] = images;
  if (first === undefined) throw notFound("the archive holds no image");
  switch (selector.by) {
    case "index": {
      const image = images[selector.index];
      if (image === undefined) throw notFound(`the archive has no image @${selector.index}: it holds ${images.length}`);
      return image;
    }
    case "tag": {
      const wanted = fullName(selector.tag);
      const image = images.find(({ RepoTags }) => RepoTags?.some((name) => fullName(name) === wanted));
      if (image !== undefined) return image;
      throw notFound(`the archive has no image ${JSON.stringify(selector.tag)}; use one of: ${listNames(images)}`);
    }
    case "only":
      if (images.length === 1) return first;
      throw notFound(
        `the archive holds ${images.length} images; add ':' and one of these to the reference: ${listNames(images)}`,
      );
  }
}

/** Configurations are named after their digest, as `<hex>.json` or as a blob of a layout: then it can be checked. */
const promisedDigest = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/;

async function readConfig(files: ImageFiles, name: string) {
  const what = `its configuration ${JSON.stringify(name)}`;
  const range = await files.find(name);
  if (range === undefined) throw failedPrecondition(`${what} is missing from the archive; save the image again`);
  const actual = sha256Of(await readDocumentBytes(range, what));
  const promised = promisedDigest.exec(name)?.[1];
  if (promised !== undefined && actual !== `sha256:${promised}`) {
    throw failedPrecondition(`${what} is damaged: its content has the digest ${actual}; save the image again`);
  }
  return { configDigest: actual, config: await readDocument(documents.config, range, what) };
}

interface StoredLayer {
  readonly name: string;
  readonly diffId: DiffId;
  readonly position: string;
}

/** Digests of compressed layers, which an archive does not record, by where they lie: one may be stored for several. */
type ComputedDigests = Map<string, Digest>;

async function digestOnce(range: BlobRange, known: ComputedDigests, signal: AbortSignal | undefined): Promise<Digest> {
  const place = `${range.offsetBytes}+${range.lengthBytes}`;
  const computed = known.get(place) ?? (await digestOf(range, signal));
  known.set(place, computed);
  return computed;
}

/** A layer of an archive is compressed or not, as its first bytes say: there is no media type. */
async function checkLayer(
  files: ImageFiles,
  { name, diffId, position }: StoredLayer,
  known: ComputedDigests,
  signal: AbortSignal | undefined,
): Promise<ImageLayer> {
  const layer = `layer ${position} (${JSON.stringify(name)})`;
  const blob = await files.find(name);
  if (blob === undefined) throw failedPrecondition(`${layer} is missing from the archive; save the image again`);
  const compression = await contentOf(blob);
  if (compression === "foreign") {
    throw failedPrecondition(`${layer} is compressed in a way that is not supported; only gzip and zstd are`);
  }
  const blobDigest = compression === "none" ? digest(diffId) : await digestOnce(blob, known, signal);
  return { digest: blobDigest, diffId, compression, blob };
}

/**
 * The image of a docker archive that `selector` and platform choose. There is no manifest with a digest in it:
 * `manifestDigest` is that of the configuration, which docker calls the image ID. A layer's digest is that of the bytes as
 * stored: the diff ID for an uncompressed one (verified when it is unpacked), otherwise computed here by reading it.
 */
export async function resolveDockerArchive(
  files: ImageFiles,
  selector: Selector,
  wanted: Platform,
  signal: AbortSignal | undefined,
): Promise<FoundImage> {
  const range = await files.find("manifest.json");
  if (range === undefined) {
    const isLayout = (await files.find("oci-layout")) !== undefined;
    throw failedPrecondition(
      isLayout
        ? "it is an OCI archive: use oci-archive:FILE"
        : "it is no docker archive: there is no manifest.json in it",
    );
  }
  const image = selectImage(await readDocument(documents.dockerManifest, range, "its manifest.json"), selector);
  const { configDigest, config } = await readConfig(files, image.Config);
  const platform = platformOfConfig(config, wanted);
  if (platformDistance(wanted, platform) === undefined) throw noSuchPlatform(wanted, [platform]);
  const diffIds = config.rootfs.diff_ids;
  checkCounts(image.Layers.length, diffIds.length);
  const known: ComputedDigests = new Map();
  const layers: ImageLayer[] = [];
  for (const [index, diffId] of diffIds.entries()) {
    const stored = { name: image.Layers[index] ?? "", diffId, position: `${index + 1} of ${diffIds.length}` };
    layers.push(await checkLayer(files, stored, known, signal));
  }
  return { platform: formatPlatform(platform), manifestDigest: configDigest, layers };
}
