// Room: test. Owns the builder of test images: OCI layouts out of layers of test entries, the same bytes every time.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { formatPlatform, hostPlatform } from "../../src/images/platform.ts";
import { tar } from "./tar.ts";
import type { Entry } from "./tar-entries.ts";

export const blobForms = ["none", "gzip", "gzip-members", "zstd", "zstd-frames"] as const;
/** How a layer's tar is stored; "gzip-members" and "zstd-frames" are several compressed parts in a row. */
export type BlobForm = (typeof blobForms)[number];

export interface LayerSource {
  /** The layer's entries, or a finished tar. */
  readonly content: readonly Entry[] | Uint8Array;
  /** Default "gzip". */
  readonly form?: BlobForm;
  /** What the manifest says instead of what fits the form. */
  readonly mediaType?: string;
  /** What the configuration says instead of the tar's digest. */
  readonly diffId?: string;
  /** What is stored under the digest of the undamaged blob; undefined: nothing is. */
  readonly damage?: (blob: Buffer) => Buffer | undefined;
}

export interface ImageSource {
  readonly layers: readonly LayerSource[];
  /** `os/architecture[/variant]`; default this machine's. */
  readonly platform?: string;
  /** Whose media types are written; default "oci". */
  readonly mediaTypes?: "oci" | "docker";
  /** Put over the configuration that the builder writes. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Put over the manifest that the builder writes. */
  readonly manifest?: Readonly<Record<string, unknown>>;
}

/** One image, or one for each platform behind an index. */
export interface TaggedSource {
  readonly tag?: string;
  readonly image: ImageSource | readonly ImageSource[];
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly [field: string]: unknown;
}

export interface BuiltLayer {
  readonly digest: string;
  readonly diffId: string;
  readonly tarBytes: number;
  readonly blobBytes: number;
}

export interface BuiltImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly BuiltLayer[];
}

export interface BuiltLayout {
  readonly directory: string;
  /** In the order of the sources; the images of an index one after the other. */
  readonly images: readonly BuiltImage[];
}

const thisPlatform = formatPlatform(hostPlatform());

export const sha256 = (bytes: Uint8Array): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

export const blobPath = (layout: string, digest: string): string => join(layout, "blobs", ...digest.split(":"));

/** Stores `bytes` in the layout and describes them. */
export async function putBlob(layout: string, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = sha256(bytes);
  await mkdir(join(layout, "blobs/sha256"), { recursive: true });
  await writeFile(blobPath(layout, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

export const putJson = (layout: string, mediaType: string, value: unknown): Promise<Descriptor> =>
  putBlob(layout, mediaType, Buffer.from(JSON.stringify(value)));

/** Writes `index.json` and `oci-layout`: the layout's entry points. */
export async function writeEntryPoints(layout: string, manifests: readonly Descriptor[]): Promise<void> {
  await mkdir(join(layout, "blobs/sha256"), { recursive: true });
  const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests };
  await writeFile(join(layout, "index.json"), JSON.stringify(index));
  await writeFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}

const third = (bytes: Uint8Array): number => Math.max(1, Math.floor(bytes.length / 3));

function inThirds(bytes: Uint8Array, compress: (part: Uint8Array) => Buffer): Buffer {
  const cut = third(bytes);
  return Buffer.concat(
    [bytes.subarray(0, cut), bytes.subarray(cut, 2 * cut), bytes.subarray(2 * cut)].map((part) => compress(part)),
  );
}

/** Level 1: test images are built often and read seldom. */
export function compressed(bytes: Buffer, form: BlobForm): Buffer {
  const gzip = (part: Uint8Array) => gzipSync(part, { level: 1 });
  const zstd = (part: Uint8Array) => zstdCompressSync(part);
  switch (form) {
    case "none":
      return bytes;
    case "gzip":
      return gzip(bytes);
    case "gzip-members":
      return inThirds(bytes, gzip);
    case "zstd":
      return zstd(bytes);
    case "zstd-frames":
      return inThirds(bytes, zstd);
  }
}

const suffixes = { none: "", gzip: "gzip", "gzip-members": "gzip", zstd: "zstd", "zstd-frames": "zstd" } as const;

/** The media types of one family. */
export const mediaTypes = {
  oci: {
    index: "application/vnd.oci.image.index.v1+json",
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: (form: BlobForm) => `application/vnd.oci.image.layer.v1.tar${suffixes[form] && `+${suffixes[form]}`}`,
  },
  docker: {
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: (form: BlobForm) => `application/vnd.docker.image.rootfs.diff.tar${suffixes[form] && `.${suffixes[form]}`}`,
  },
} as const;

async function buildLayer(layout: string, source: LayerSource, family: "oci" | "docker") {
  const bytes = source.content instanceof Uint8Array ? Buffer.from(source.content) : tar(source.content);
  const form = source.form ?? "gzip";
  const blob = compressed(bytes, form);
  const stored = source.damage ? source.damage(blob) : blob;
  const digest = sha256(blob);
  await mkdir(join(layout, "blobs/sha256"), { recursive: true });
  if (stored) await writeFile(blobPath(layout, digest), stored);
  const mediaType = source.mediaType ?? mediaTypes[family].layer(form);
  const descriptor: Descriptor = { mediaType, digest, size: blob.length };
  const diffId = source.diffId ?? sha256(bytes);
  return { descriptor, layer: { digest, diffId, tarBytes: bytes.length, blobBytes: blob.length } };
}

export function platformFields(platform: string) {
  const [os, architecture, variant] = platform.split("/");
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

async function buildImage(layout: string, source: ImageSource): Promise<BuiltImage> {
  const family = source.mediaTypes ?? "oci";
  const types = mediaTypes[family];
  const built: Awaited<ReturnType<typeof buildLayer>>[] = [];
  for (const layer of source.layers) built.push(await buildLayer(layout, layer, family));
  const layers = built.map(({ layer }) => layer);
  const config = await putJson(layout, types.config, {
    ...platformFields(source.platform ?? thisPlatform),
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    ...source.config,
  });
  const manifest = await putJson(layout, types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers: built.map(({ descriptor }) => descriptor),
    ...source.manifest,
  });
  return { manifest, config, layers };
}

const isSeveral = (image: TaggedSource["image"]): image is readonly ImageSource[] => Array.isArray(image);

/** Writes an OCI layout at `directory` (made when missing) that holds `sources`. */
export async function writeLayout(directory: string, sources: readonly TaggedSource[]): Promise<BuiltLayout> {
  const images: BuiltImage[] = [];
  const entryPoints: Descriptor[] = [];
  for (const { tag, image } of sources) {
    const annotations = tag === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": tag } };
    if (!isSeveral(image)) {
      const built = await buildImage(directory, image);
      images.push(built);
      entryPoints.push({ ...built.manifest, ...annotations });
      continue;
    }
    const manifests: Descriptor[] = [];
    for (const source of image) {
      const built = await buildImage(directory, source);
      images.push(built);
      manifests.push({ ...built.manifest, platform: platformFields(source.platform ?? thisPlatform) });
    }
    const mediaType = mediaTypes[image[0]?.mediaTypes ?? "oci"].index;
    const index = await putJson(directory, mediaType, { schemaVersion: 2, mediaType, manifests });
    entryPoints.push({ ...index, ...annotations });
  }
  await writeEntryPoints(directory, entryPoints);
  return { directory, images };
}

/** A layout with one image of layers of entries, under the tag "test": what most tests want. */
export async function writeImage(
  directory: string,
  layers: readonly LayerSource[],
  image: Omit<ImageSource, "layers"> = {},
) {
  const layout = await writeLayout(directory, [{ tag: "test", image: { ...image, layers } }]);
  const built = layout.images[0];
  if (built === undefined) throw new Error("the builder made no image");
  return { reference: `oci:${directory}:test`, ...built };
}
