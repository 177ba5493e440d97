// Room: images. Owns OCI layouts: from `index.json` by tag and platform down to one image's layers.
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { type Descriptor, documents, type ImageConfig, readBlob, readDocument } from "./documents.ts";
import type { ImageFiles } from "./files.ts";
import type { ResolvedImage } from "./image.ts";
import { checkLayers } from "./layers.ts";
import { formatPlatform, nearestPlatform, normalizePlatform, type Platform } from "./platform.ts";
import type { Selector } from "./reference.ts";

/** A resolved image apart from what its reference and its files add. */
export type FoundImage = Pick<ResolvedImage, "platform" | "manifestDigest" | "layers">;

const maxIndexDepth = 4;
/** Manifests that an index may lead to, over all its nested ones. */
const maxCandidates = 1024;

const indexTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
const manifestTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
const configTypes = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/** A docker image store's own archives have the bare tag as ref.name, and the whole name in an annotation of its own. */
const tagsOf = ({ annotations }: Descriptor): string[] =>
  ["org.opencontainers.image.ref.name", "io.containerd.image.name"].flatMap((name) => annotations?.[name] ?? []);

function listTags(manifests: readonly Descriptor[]): string {
  const listed = manifests.slice(0, 20).map((manifest, index) => tagsOf(manifest)[0] ?? `@${index}`);
  return listed.join(", ") + (manifests.length > listed.length ? ", …" : "");
}

/** What the layout has under the selector: one descriptor, or one a platform. */
function selectDescriptors(manifests: readonly Descriptor[], selector: Selector): readonly Descriptor[] {
  if (manifests.length === 0) throw notFound("the layout holds no image");
  switch (selector.by) {
    case "index": {
      const manifest = manifests[selector.index];
      if (manifest === undefined)
        throw notFound(`the layout has no image @${selector.index}: it holds ${manifests.length}`);
      return [manifest];
    }
    case "tag": {
      const tagged = manifests.filter((manifest) => tagsOf(manifest).includes(selector.tag));
      if (tagged.length > 0) return tagged;
      throw notFound(`the layout has no tag ${JSON.stringify(selector.tag)}; use one of: ${listTags(manifests)}`);
    }
    case "only": {
      const names = new Set(manifests.map((manifest) => tagsOf(manifest)[0]));
      const isOneImage = names.size === 1 && manifests.every((manifest) => manifest.platform);
      if (manifests.length === 1 || isOneImage) return manifests;
      throw notFound(
        `the layout holds ${manifests.length} images; add ':' and one of these to the reference: ${listTags(manifests)}`,
      );
    }
  }
}

/** The manifests that `descriptors` lead to, through nested indexes. */
async function leavesOf(files: ImageFiles, descriptors: readonly Descriptor[], depth = 0): Promise<Descriptor[]> {
  if (depth > maxIndexDepth) throw failedPrecondition(`its indexes are nested more than ${maxIndexDepth} deep`);
  const leaves: Descriptor[] = [];
  for (const descriptor of descriptors) {
    if (indexTypes.includes(descriptor.mediaType)) {
      const { manifests } = await readBlob(files, descriptor, documents.index, "index");
      leaves.push(...(await leavesOf(files, manifests, depth + 1)));
    } else {
      leaves.push(descriptor);
    }
    if (leaves.length > maxCandidates)
      throw failedPrecondition(`its index leads to more than ${maxCandidates} manifests`);
  }
  return leaves;
}

async function readManifest(files: ImageFiles, descriptor: Descriptor) {
  if (!manifestTypes.includes(descriptor.mediaType)) {
    throw failedPrecondition(
      `its manifest ${descriptor.digest} has the media type ${JSON.stringify(descriptor.mediaType)}; ` +
        "only OCI manifests and docker's version 2 are supported",
    );
  }
  const manifest = await readBlob(files, descriptor, documents.manifest, "manifest");
  if (manifest.mediaType !== undefined && manifest.mediaType !== descriptor.mediaType) {
    throw failedPrecondition(`its manifest calls itself ${manifest.mediaType}, its index ${descriptor.mediaType}`);
  }
  if (!configTypes.includes(manifest.config.mediaType)) {
    throw failedPrecondition(
      `it is no container image: its configuration is ${JSON.stringify(manifest.config.mediaType)}`,
    );
  }
  return { manifest, config: await readBlob(files, manifest.config, documents.config, "configuration") };
}

/** A configuration that does not say for which platform it is fits every one. */
export const platformOfConfig = ({ os, architecture, variant }: ImageConfig, wanted: Platform): Platform =>
  os && architecture ? normalizePlatform(os, architecture, variant) : wanted;

/** The not_found for an image that exists, for other platforms. */
export function noSuchPlatform(wanted: Platform, offered: readonly Platform[]) {
  const names = [...new Set(offered.map(formatPlatform))].filter((name) => !name.startsWith("unknown/"));
  return notFound(`it is not for ${formatPlatform(wanted)}; pass --platform with one of: ${names.join(", ")}`);
}

async function platformOf(files: ImageFiles, leaf: Descriptor, wanted: Platform): Promise<Platform> {
  if (leaf.platform) return normalizePlatform(leaf.platform.os, leaf.platform.architecture, leaf.platform.variant);
  return platformOfConfig((await readManifest(files, leaf)).config, wanted);
}

/** The version says how a layout is to be read: a new major one could mean anything. */
async function checkLayoutVersion(files: ImageFiles): Promise<void> {
  const range = await files.find("oci-layout");
  if (range === undefined) {
    const isDocker = (await files.find("manifest.json")) !== undefined;
    throw failedPrecondition(
      isDocker
        ? "it is a docker archive: use docker-archive:FILE"
        : "it is no OCI layout: there is no file oci-layout in it",
    );
  }
  const { imageLayoutVersion } = await readDocument(documents.ociLayout, range, "its oci-layout");
  if (!/^1\.\d+\.\d+$/.test(imageLayoutVersion)) {
    throw failedPrecondition(
      `it is an OCI layout of version ${JSON.stringify(imageLayoutVersion)}; only 1.x is supported`,
    );
  }
}

/** The image of an OCI layout that `selector` and platform choose. Errors do not name the image: the caller does. */
export async function resolveLayout(
  files: ImageFiles,
  selector: Selector,
  wanted: Platform,
  signal: AbortSignal | undefined,
): Promise<FoundImage> {
  await checkLayoutVersion(files);
  const indexRange = await files.find("index.json");
  if (indexRange === undefined) throw failedPrecondition("it is no OCI layout: there is no index.json in it");
  const { manifests } = await readDocument(documents.index, indexRange, "its index.json");
  const candidates: { readonly leaf: Descriptor; readonly platform: Platform }[] = [];
  for (const leaf of await leavesOf(files, selectDescriptors(manifests, selector))) {
    signal?.throwIfAborted();
    candidates.push({ leaf, platform: await platformOf(files, leaf, wanted) });
  }
  const chosen = nearestPlatform(wanted, candidates, ({ platform }) => platform);
  if (chosen === undefined)
    throw noSuchPlatform(
      wanted,
      candidates.map(({ platform }) => platform),
    );
  const { manifest, config } = await readManifest(files, chosen.leaf);
  return {
    platform: formatPlatform(chosen.platform),
    manifestDigest: chosen.leaf.digest,
    layers: await checkLayers(files, manifest.layers, config.rootfs.diff_ids),
  };
}
