// Room: images. Owns archives of `docker save`: from `manifest.json` by name and tag down to one image's layers.
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { type DiffId, type Digest, digest } from "../domain/identifiers.ts";
import { quoted, quotedUnlessPlain } from "../domain/quoted.ts";
import { type DocumentReader, sha256Of } from "./document-reader.ts";
import { documents, fieldsOf, judge, textOf } from "./documents.ts";
import { digestOf } from "./files.ts";
import type { BlobRange, ImageLayer } from "./image.ts";
import { parseJson } from "./json.ts";
import { checkCounts, checkStoredBytes, compressionOf } from "./layers.ts";
import { type FoundImage, noSuchPlatform, platformOfConfig } from "./layout.ts";
import { formatPlatform, type Platform, platformDistance } from "./platform.ts";
import { fullDockerName, type Selector } from "./reference.ts";

/** An image of the list, before it is chosen: it may contain anything. */
interface ArchivedImage {
  readonly value: unknown;
  readonly number: number;
  readonly tags: readonly string[];
  /** The tags in full. */
  readonly names: ReadonlySet<string>;
}

async function archivedImages(reader: DocumentReader, values: readonly unknown[]): Promise<ArchivedImage[]> {
  const images: ArchivedImage[] = [];
  for (const [number, value] of values.entries()) {
    const given: unknown = fieldsOf(value)["RepoTags"];
    const tags = Array.isArray(given) ? given.map(textOf).filter((tag) => tag !== "") : [];
    await reader.count(1 + tags.length);
    images.push({ value, number, tags, names: new Set(tags.map(fullName)) });
  }
  return images;
}

const maxListed = 20;

function listNames(images: readonly ArchivedImage[]): string {
  const listed = images
    .slice(0, maxListed)
    .map(({ tags: [tag], number }) => (tag ? quotedUnlessPlain(tag) : `@${number}`));
  return listed.join(", ") + (images.length > listed.length ? ", …" : "");
}

const fullName = (name: string): string => fullDockerName(name) ?? name;

const contentOf = ({ value }: ArchivedImage): string =>
  JSON.stringify([fieldsOf(value)["Config"], fieldsOf(value)["Layers"]]);

/** The single image of a tag. Several different ones are refused: which one was meant cannot be guessed. */
function theOne(tag: string, [first, ...others]: readonly ArchivedImage[]): ArchivedImage | undefined {
  if (first === undefined || others.every((other) => contentOf(other) === contentOf(first))) return first;
  const named = [first, ...others]
    .slice(0, maxListed)
    .map(({ number, value }) => `@${number} (${quotedUnlessPlain(textOf(fieldsOf(value)["Config"]))})`);
  throw failedPrecondition(
    `${others.length + 1} images have the tag ${quoted(tag)}; use the number of one in its place: ${named.join(", ")}`,
  );
}

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
      const tagged = images.filter(({ names }) => names.has(wanted));
      const image = theOne(selector.tag, tagged);
      if (image !== undefined) return image;
      throw notFound(`the archive has no image ${quoted(selector.tag)}; use one of: ${listNames(images)}`);
    }
    case "only":
      if (images.every((image) => contentOf(image) === contentOf(first))) return first;
      throw notFound(
        `the archive holds ${images.length} images; add ':' and one of these to the reference: ${listNames(images)}`,
      );
  }
}

/** A configuration is named after its digest (`<hex>.json`, `sha256:<hex>`, or a blob of a layout), which can be checked. */
const promisedDigest = /(?:^|\/|^sha256:)([0-9a-f]{64})(?:\.json)?$/;

async function readConfig(reader: DocumentReader, name: string) {
  const what = `its configuration ${quoted(name)}`;
  const range = await reader.files.find(name);
  if (range === undefined) throw failedPrecondition(`${what} is missing from the archive; save the image again`);
  const bytes = await reader.bytesOf(range, what);
  const actual = sha256Of(bytes);
  const promised = promisedDigest.exec(name)?.[1];
  if (promised !== undefined && actual !== `sha256:${promised}`) {
    throw failedPrecondition(`${what} is damaged: its content has the digest ${actual}; save the image again`);
  }
  return { configDigest: actual, config: judge(documents.config, parseJson(bytes, what), what) };
}

interface StoredLayer {
  /** For messages. */
  readonly layer: string;
  readonly diffId: DiffId;
  readonly blob: BlobRange;
}

async function findLayers(
  reader: DocumentReader,
  names: readonly string[],
  diffIds: readonly DiffId[],
): Promise<readonly StoredLayer[]> {
  checkCounts(names.length, diffIds.length);
  const found: StoredLayer[] = [];
  for (const [index, diffId] of diffIds.entries()) {
    reader.throwIfAborted();
    const name = names[index] ?? "";
    const layer = `layer ${index + 1} of ${diffIds.length} (${quoted(name)})`;
    const blob = await reader.files.find(name);
    if (blob === undefined) throw failedPrecondition(`${layer} is missing from the archive; save the image again`);
    found.push({ layer, diffId, blob });
  }
  checkStoredBytes(found.map(({ blob }) => blob));
  return found;
}

/** Digests of compressed layers, which an archive does not record, by position: several layers may share one member. */
type ComputedDigests = Map<string, Digest>;

async function digestOnce(range: BlobRange, known: ComputedDigests, signal: AbortSignal | undefined): Promise<Digest> {
  const place = `${range.offsetBytes}+${range.lengthBytes}`;
  const computed = known.get(place) ?? (await digestOf(range, signal));
  known.set(place, computed);
  return computed;
}

/** A layer of an archive is compressed or not, as its first bytes say: there is no media type. */
async function checkLayer(
  reader: DocumentReader,
  { layer, diffId, blob }: StoredLayer,
  known: ComputedDigests,
): Promise<ImageLayer> {
  const compression = await compressionOf(blob, "none", layer);
  const blobDigest = compression === "none" ? digest(diffId) : await digestOnce(blob, known, reader.signal);
  return { digest: blobDigest, diffId, compression, blob };
}

async function noDockerArchive({ files }: DocumentReader) {
  if ((await files.find("oci-layout")) !== undefined)
    return failedPrecondition("it is an OCI archive: use oci-archive:FILE");
  const isOld = (await files.find("repositories")) !== undefined;
  const hint = isOld ? " (docker before 1.10 wrote it: load it into a newer one and save it again)" : "";
  return failedPrecondition(`it is no docker archive: there is no manifest.json in it${hint}`);
}

/**
 * The image of a docker archive that `selector` and the platform choose. The archive has no manifest digest, so
 * `manifestDigest` is the configuration's digest, which docker calls the image ID. A layer's digest is that of the stored
 * bytes: the diff ID of an uncompressed layer (verified when it is unpacked), otherwise computed here.
 */
export async function resolveDockerArchive(
  reader: DocumentReader,
  selector: Selector,
  wanted: Platform,
): Promise<FoundImage> {
  const images = await reader.entryPoint(documents.dockerManifest, "manifest.json");
  if (images === undefined) throw await noDockerArchive(reader);
  const chosen = selectImage(await archivedImages(reader, images), selector);
  const image = judge(documents.dockerImage, chosen.value, `image @${chosen.number} of its manifest.json`);
  const { configDigest, config } = await readConfig(reader, image.Config);
  const platform = platformOfConfig(config, wanted);
  if (platformDistance(wanted, platform) === undefined) throw noSuchPlatform(wanted, [formatPlatform(platform)]);
  const known: ComputedDigests = new Map();
  const layers: ImageLayer[] = [];
  for (const stored of await findLayers(reader, image.Layers, config.rootfs.diff_ids))
    layers.push(await checkLayer(reader, stored, known));
  return { platform: formatPlatform(platform), manifestDigest: configDigest, layers };
}
