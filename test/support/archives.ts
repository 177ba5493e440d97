// Room: test. Owns test archives: an OCI layout packed as oci-archive, its images packed as docker-archive.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BlobForm, type BuiltLayout, blobPath, compressed } from "./images.ts";
import { tar } from "./tar.ts";
import { directory, type Entry, file, symlink } from "./tar-entries.ts";

export interface PackOptions {
  /** How the whole archive is compressed; default "none". */
  readonly form?: BlobForm;
  /** Put before each member's name: "./" is what `tar -C layout -c .` writes. */
  readonly prefix?: string;
  /** More members, behind all others. */
  readonly more?: readonly Entry[];
}

const store = (archive: string, entries: readonly Entry[], options: PackOptions): Promise<void> =>
  writeFile(archive, compressed(tar([...entries, ...(options.more ?? [])]), options.form ?? "none"));

/** The layout as one tar. */
export async function packOciArchive(layout: string, archive: string, options: PackOptions = {}): Promise<void> {
  const prefix = options.prefix ?? "";
  const names = await readdir(layout, { recursive: true, withFileTypes: true });
  const entries: Entry[] = [];
  for (const found of names.sort((a, b) => join(a.parentPath, a.name).localeCompare(join(b.parentPath, b.name)))) {
    const path = join(found.parentPath, found.name);
    const member = prefix + path.slice(layout.length + 1);
    entries.push(found.isDirectory() ? directory(member) : file(member, await readFile(path)));
  }
  await store(archive, entries, options);
}

export interface DockerPackOptions extends PackOptions {
  /** For each image of the layout; none by default. */
  readonly repoTags?: readonly (readonly string[])[];
  /** `docker save` before version 25 wrote each layer once, and symbolic links where another image had it. */
  readonly linkedLayers?: boolean;
}

/** The layout's images as `docker save` lays them out. Layers go in as they are stored; give them the form "none" to be true to it. */
export async function packDockerArchive(layout: BuiltLayout, archive: string, options: DockerPackOptions = {}) {
  const prefix = options.prefix ?? "";
  const entries: Entry[] = [];
  const manifest: unknown[] = [];
  for (const [index, image] of layout.images.entries()) {
    const configName = `${image.config.digest.slice("sha256:".length)}.json`;
    entries.push(file(prefix + configName, await readFile(blobPath(layout.directory, image.config.digest))));
    const layerNames: string[] = [];
    for (const [position, layer] of image.layers.entries()) {
      const hex = layer.digest.slice("sha256:".length);
      const name = `${index}-${position}-${hex.slice(0, 12)}/layer.tar`;
      layerNames.push(name);
      if (options.linkedLayers) entries.push(symlink(prefix + name, `../${hex}/layer.tar`));
      const stored = options.linkedLayers ? `${hex}/layer.tar` : name;
      entries.push(file(prefix + stored, await readFile(blobPath(layout.directory, layer.digest))));
    }
    manifest.push({ Config: configName, RepoTags: options.repoTags?.[index] ?? null, Layers: layerNames });
  }
  entries.push(file(`${prefix}manifest.json`, JSON.stringify(manifest)));
  await store(archive, entries, options);
}
