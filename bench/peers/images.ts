// Room: bench. Owns the images of the comparison: the same bytes from the same packages.
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { runCommand } from "../../src/system/process/commands.ts";
import {
  blobPath,
  type Descriptor,
  mediaTypes,
  putBlob,
  putJson,
  sha256,
  writeEntryPoints,
} from "../../test/support/images.ts";
import { chooseEntries, type Entry, inLayers, type Wanted } from "./package-files.ts";

export type Compression = "gzip" | "zstd";

/** One or several images that are unpacked one after the other, in an OCI layout of their own. */
export interface PeerImage {
  readonly letter: string;
  readonly title: string;
  readonly layout: string;
  /** The layout as one archive. */
  readonly archive: string;
  readonly compression: Compression;
  readonly images: readonly {
    readonly tag: string;
    /** Of the manifest. */
    readonly digest: string;
  }[];
  /** Every blob once, bottom first. */
  readonly blobs: readonly string[];
  readonly tarBytes: number;
}

export interface Sizes {
  /** Of the images a, b and c. */
  readonly whole: Wanted;
  readonly layers: number;
  /** Of the image with layers of three small files. */
  readonly tinyLayers: number;
  /** How many images share their lower layers, and what these are. */
  readonly family: number;
  readonly shared: Wanted;
}

export interface Builder {
  /** The packages' files. */
  readonly files: string;
  /** Where layouts go. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  readonly tarBytes: number;
}

const sharedLayers = 4;
const filesPerTinyLayer = 3;
const tinyBytes = 4096;
const own: Wanted = { bytes: 2 ** 20, entries: 50 };

const compressors = { gzip: ["gzip", "-6", "-n", "-c"], zstd: ["zstd", "-3", "-q", "-c"] } as const;

/** The directories above the entries, as a layer lists them, and the entries. */
function withDirectories(entries: readonly Entry[]): string[] {
  const paths = new Set<string>();
  for (const { path } of entries) {
    for (let above = dirname(path); above !== "."; above = dirname(above)) paths.add(above);
    paths.add(path);
  }
  return [...paths].sort();
}

async function writeLayer(
  { files, directory, signal }: Builder,
  layout: string,
  entries: readonly Entry[],
  compression: Compression,
): Promise<Layer> {
  const patience = { timeoutMs: 300_000, signal };
  const list = join(directory, "list");
  const tar = join(directory, "layer.tar");
  const blob = join(directory, "layer.blob");
  await Bun.write(list, withDirectories(entries).join("\0"));
  const owner = ["--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];
  await runCommand("tar", ["-C", files, "-cf", tar, ...owner, "--null", "--no-recursion", "-T", list], patience);
  const [program, ...args] = compressors[compression];
  await runCommand("sh", ["-c", 'exec "$@" <"$TAR" >"$BLOB"', "sh", program, ...args], {
    ...patience,
    environment: { TAR: tar, BLOB: blob },
  });
  const bytes = await Bun.file(tar).bytes();
  const descriptor = await putBlob(layout, mediaTypes.oci.layer(compression), await Bun.file(blob).bytes());
  for (const path of [list, tar, blob]) rmSync(path);
  return { descriptor, diffId: sha256(bytes), tarBytes: bytes.length };
}

async function writeManifest(layout: string, tag: string, layers: readonly Layer[]): Promise<Descriptor> {
  const config = await putJson(layout, mediaTypes.oci.config, {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const descriptors = layers.map(({ descriptor }) => descriptor);
  const manifest = await putJson(layout, mediaTypes.oci.manifest, { schemaVersion: 2, config, layers: descriptors });
  return { ...manifest, annotations: { "org.opencontainers.image.ref.name": tag } };
}

interface Plan {
  readonly letter: string;
  readonly title: string;
  readonly compression?: Compression;
  /** For each image its layers. */
  readonly images: readonly (readonly (readonly Entry[])[])[];
}

async function build(builder: Builder, { letter, title, compression = "gzip", images }: Plan): Promise<PeerImage> {
  const layout = join(builder.directory, letter);
  mkdirSync(layout, { recursive: true });
  const built = new Map<readonly Entry[], Layer>();
  const manifests: Descriptor[] = [];
  for (const [index, layers] of images.entries()) {
    for (const entries of layers) {
      if (!built.has(entries)) built.set(entries, await writeLayer(builder, layout, entries, compression));
    }
    const own = layers.map((entries) => built.get(entries)).filter((layer) => layer !== undefined);
    manifests.push(await writeManifest(layout, `${letter}${index}`, own));
  }
  await writeEntryPoints(layout, manifests);
  const archive = `${layout}.tar`;
  await runCommand("tar", ["-C", layout, "-cf", archive, "."], { timeoutMs: 300_000, signal: builder.signal });
  const layers = [...built.values()];
  return {
    letter,
    title,
    layout,
    archive,
    compression,
    images: manifests.map(({ digest }, index) => ({ tag: `${letter}${index}`, digest })),
    blobs: layers.map(({ descriptor }) => blobPath(layout, descriptor.digest)),
    tarBytes: layers.reduce((total, { tarBytes }) => total + tarBytes, 0),
  };
}

/** `count` groups of `size` entries each, no two the same. */
const groups = (entries: readonly Entry[], count: number, size: number): Entry[][] =>
  Array.from({ length: count }, (_, index) => entries.slice(index * size, (index + 1) * size));

/** The images of which `letters` has the letter. */
export async function buildImages(builder: Builder, sizes: Sizes, letters: string): Promise<PeerImage[]> {
  const whole = chooseEntries(builder.files, sizes.whole);
  const inMany = inLayers(whole, sizes.layers);
  const files = whole.filter(({ bytes }) => bytes > 0);
  const small = files.filter(({ bytes }) => bytes <= tinyBytes);
  const lower = inLayers(chooseEntries(builder.files, sizes.shared), sharedLayers);
  const upper = groups(
    files.filter(({ bytes }) => bytes <= own.bytes / own.entries),
    sizes.family,
    own.entries,
  );
  const mib = Math.round(sizes.whole.bytes / 2 ** 20);
  const plans: readonly Plan[] = [
    { letter: "a", title: `${mib} MiB in ${sizes.layers} layers, gzip`, images: [inMany] },
    { letter: "b", title: "the same as zstd", compression: "zstd", images: [inMany] },
    { letter: "c", title: "the same in one layer, gzip", images: [[whole]] },
    {
      letter: "d",
      title: `${sizes.tinyLayers} layers of ${filesPerTinyLayer} small files, gzip`,
      images: [groups(small, sizes.tinyLayers, filesPerTinyLayer)],
    },
    {
      letter: "e",
      title: `${sizes.family} images that share ${sharedLayers} lower layers, gzip`,
      images: upper.map((entries) => [...lower, entries]),
    },
  ];
  const built: PeerImage[] = [];
  for (const plan of plans.filter(({ letter }) => letters.includes(letter))) built.push(await build(builder, plan));
  return built;
}
