// Room: test. Owns a small but varied image: three layers, a few MB, hundreds of files, most kinds of entries.
import { FlatModel } from "./flat-model.ts";
import { type BlobForm, type BuiltImage, writeImage } from "./images.ts";
import { directory, type Entry, fifo, file, hardLink, opaque, sparse, symlink, whiteout } from "./tar-entries.ts";
import type { Tree } from "./trees.ts";

export interface SmallImage {
  readonly reference: string;
  readonly expected: Tree;
  readonly layers: BuiltImage["layers"];
}

/** Bytes that do not compress, the same for the same seed. */
function noise(seed: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let state = seed | 1;
  for (let at = 0; at + 4 <= lengthBytes; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
}

const manyFiles = (parent: string, count: number, lengthBytes: number): Entry[] =>
  Array.from({ length: count }, (_, index) => file(`${parent}/file-${index}`, noise(index + 7, lengthBytes)));

/** A layer by its entries, and how it is stored. */
export interface ModelledLayer {
  readonly form: BlobForm;
  readonly entries: readonly Entry[];
}

const smallLayers: readonly ModelledLayer[] = [
  {
    form: "gzip",
    entries: [
      directory("usr"),
      directory("usr/bin"),
      ...manyFiles("usr/bin", 150, 9_000),
      directory("var"),
      directory("var/cache", { mode: 0o1777 }),
      ...manyFiles("var/cache", 50, 700),
      file("usr/bin/su", noise(3, 40_000), { mode: 0o4755 }),
      symlink("bin", "usr/bin"),
    ],
  },
  {
    form: "zstd",
    entries: [
      directory("var/cache"),
      opaque("var/cache"),
      file("var/cache/new", "kept"),
      whiteout("usr/bin/file-3"),
      hardLink("usr/bin/twin", "usr/bin/file-4"),
      fifo("var/pipe", { mode: 0o600, uid: 7, gid: 8 }),
      sparse("var/sparse", 8 << 20, [{ offsetBytes: 4 << 20, content: noise(5, 4096) }]),
      file("usr/bin/big", noise(11, 3 << 20), { xattrs: { "user.origin": "test" } }),
    ],
  },
  {
    form: "none",
    entries: [file("usr/bin/file-0", "replaced"), file("bin/through-link", "below"), ...manyFiles("srv", 60, 2_000)],
  },
];

export const writeSmallImage = (layout: string): Promise<SmallImage> => writeModelledImage(layout, smallLayers);

/** Writes an image of these layers to the directory `layout`; returns its expected content. */
export async function writeModelledImage(layout: string, layers: readonly ModelledLayer[]): Promise<SmallImage> {
  const model = new FlatModel();
  for (const { entries } of layers) model.addLayer(entries);
  const { reference, layers: built } = await writeImage(
    layout,
    layers.map(({ form, entries }) => ({ form, content: entries })),
  );
  return { reference, expected: model.tree(), layers: built };
}
