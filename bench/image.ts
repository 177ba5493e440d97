// Room: bench. Owns the image for measuring unpacks: gzip layers of this machine's files.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../src/system/process/commands.ts";
import { mediaTypes, putBlob, putJson, sha256, writeEntryPoints } from "../test/support/images.ts";

const roots = ["/usr/share", "/usr/lib", "/usr/bin"];
const layerCount = 3;
const defaultBytes = 360 * 2 ** 20;
/** Of an image of so many bytes; of another, in proportion. */
const defaultFiles = 18_000;
const maxFileBytes = 12 * 2 ** 20;
const timeoutMs = 300_000;

export interface BenchImage {
  readonly reference: string;
  /** The gzip blobs, bottom first. */
  readonly blobs: readonly string[];
  readonly tarBytes: number;
  readonly blobBytes: number;
  readonly files: number;
}

export interface ImageOptions {
  /** Default: 360 MiB. */
  readonly wantedBytes?: number;
  readonly signal?: AbortSignal;
}

/** Regular files below the roots, by path: about as many bytes as are wanted, as far as the machine has so many. */
async function chooseFiles({ wantedBytes = defaultBytes, signal }: ImageOptions): Promise<string[]> {
  const chosen: string[] = [];
  const share = {
    bytes: wantedBytes / roots.length,
    files: (defaultFiles * wantedBytes) / defaultBytes / roots.length,
  };
  const patience = { timeoutMs, signal };
  for (const root of roots) {
    const taken = { bytes: 0, files: 0 };
    const { stdout } = await runCommand("find", [root, "-xdev", "-type", "f", "-printf", "%s %p\\0"], patience);
    const found = stdout.split("\0").filter((line) => line !== "");
    const sized = found.map((line) => ({ size: Number.parseInt(line, 10), path: line.slice(line.indexOf(" ") + 1) }));
    for (const { size, path } of sized.sort((a, b) => (a.path < b.path ? -1 : 1))) {
      // Once the share of bytes is reached only small files are taken, until there are enough files.
      const isFull = taken.bytes + size > share.bytes;
      if (size > maxFileBytes || (isFull && (size > 4096 || taken.files >= share.files))) continue;
      taken.bytes += size;
      taken.files += 1;
      chosen.push(path);
    }
  }
  return chosen;
}

/** Writes the image below `directory`, with the machine's tar and gzip. */
export async function buildBenchImage(directory: string, options: ImageOptions = {}): Promise<BenchImage> {
  const patience = { timeoutMs, signal: options.signal };
  const layout = join(directory, "image");
  mkdirSync(layout, { recursive: true });
  const files = await chooseFiles(options);
  const perLayer = Math.ceil(files.length / layerCount);
  const layers: { descriptor: Awaited<ReturnType<typeof putBlob>>; diffId: string; tarBytes: number }[] = [];
  for (let index = 0; index < layerCount; index += 1) {
    const list = join(directory, "files.txt");
    const tar = join(directory, "layer.tar");
    await Bun.write(list, files.slice(index * perLayer, (index + 1) * perLayer).join("\0"));
    await runCommand("tar", ["-cf", tar, "--null", "--no-recursion", "-P", "--transform=s,^/,,", "-T", list], patience);
    const bytes = await Bun.file(tar).bytes();
    await runCommand("gzip", ["-kf", tar], patience);
    const descriptor = await putBlob(layout, mediaTypes.oci.layer("gzip"), await Bun.file(`${tar}.gz`).bytes());
    layers.push({ descriptor, diffId: sha256(bytes), tarBytes: bytes.length });
    await runCommand("rm", [list, tar, `${tar}.gz`], patience);
  }
  const config = await putJson(layout, mediaTypes.oci.config, {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const descriptors = layers.map(({ descriptor }) => descriptor);
  const manifest = await putJson(layout, mediaTypes.oci.manifest, { schemaVersion: 2, config, layers: descriptors });
  await writeEntryPoints(layout, [{ ...manifest, annotations: { "org.opencontainers.image.ref.name": "bench" } }]);
  return {
    reference: `oci:${layout}:bench`,
    blobs: descriptors.map(({ digest }) => join(layout, "blobs", ...digest.split(":"))),
    tarBytes: layers.reduce((sum, { tarBytes }) => sum + tarBytes, 0),
    blobBytes: descriptors.reduce((sum, { size }) => sum + size, 0),
    files: files.length,
  };
}
