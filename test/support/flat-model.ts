// Room: test. Owns an independent model of the content of an image: the entries of its layers, applied in memory.
import { posix } from "node:path";
import { bytesOf, defaultMtimeNs, type Entry, type NodeEntry } from "./tar-entries.ts";
import { anything, type Facts, modeText, type Tree } from "./trees.ts";

/** What a layer is made of here. Global PAX headers and raw bytes are for tests that know what comes of them. */
const isNode = (entry: Entry): entry is NodeEntry => entry.kind !== "raw" && entry.kind !== "global-pax";

const pathOf = (bytes: Buffer): string =>
  posix
    .normalize(`/${bytes.toString("latin1")}`)
    .slice(1)
    .replace(/\/$/, "");
const parentOf = (path: string): string => (path.includes("/") ? posix.dirname(path) : "");

function sha256Hex(parts: readonly Uint8Array[]): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const part of parts) hasher.update(part);
  return hasher.digest("hex");
}

function sparseContent(entry: Extract<NodeEntry, { kind: "sparse" }>): Buffer {
  const content = Buffer.alloc(entry.sizeBytes);
  for (const extent of entry.extents) content.set(extent.content, extent.offsetBytes);
  return content;
}

type LeafEntry = Exclude<NodeEntry, { kind: "hardlink" }>;

function typeFacts(entry: LeafEntry): Facts {
  switch (entry.kind) {
    case "file":
      return { type: "file", size: String(entry.content.length), sha256: sha256Hex([entry.content]) };
    case "sparse":
      return { type: "file", size: String(entry.sizeBytes), sha256: sha256Hex([sparseContent(entry)]) };
    case "symlink":
      return { type: "symlink", target: entry.target.toString("latin1") };
    case "character":
    case "block":
      return { type: entry.kind, device: `${entry.major}:${entry.minor}` };
    case "directory":
    case "fifo":
      return { type: entry.kind };
  }
}

function factsOf(entry: LeafEntry): Facts {
  const { mode, uid = 0, gid = 0, mtimeNs = defaultMtimeNs, xattrs = {} } = entry.attributes;
  const values = Object.entries(xattrs).map(([name, value]) => [`xattr ${name}`, bytesOf(value).toString("hex")]);
  return {
    ...typeFacts(entry),
    ...(entry.kind !== "symlink" && { mode: modeText(mode ?? (entry.kind === "directory" ? 0o755 : 0o644)) }),
    owner: `${uid}:${gid}`,
    mtimeNs: String(mtimeNs),
    ...Object.fromEntries(values),
  };
}

/** A directory that no layer lists, but that something lies in. */
const impliedDirectory: Facts = { type: "directory", mode: "0755", owner: "0:0", mtimeNs: anything };

const whiteoutPrefix = ".wh.";
const opaqueName = ".wh..wh..opq";

/** The image so far. Names of one file hold the very same facts object: that is what makes them hard links. */
export class FlatModel {
  readonly #nodes = new Map<string, Facts>([["", { ...impliedDirectory }]]);

  /** Lays one layer over what is there: first its whiteouts, which mean lower layers only, then its entries in order. */
  addLayer(entries: readonly Entry[]): void {
    const nodes = entries.filter(isNode).map((entry) => ({ entry, path: pathOf(entry.path) }));
    for (const { path } of nodes) if (this.#isWhiteout(path)) this.#removeAsTold(path);
    for (const { entry, path } of nodes) if (!this.#isWhiteout(path)) this.#put(entry, this.#resolve(path));
  }

  has(path: string): boolean {
    return this.#nodes.has(path);
  }

  facts(path: string): Facts | undefined {
    return this.#nodes.get(path);
  }

  /** Paths of what is of that type, sorted. */
  pathsOf(type: string): string[] {
    return [...this.#nodes].flatMap(([path, facts]) => (facts["type"] === type ? [path] : [])).sort();
  }

  /** The image as a file system would show it. */
  tree(): Tree {
    const names = new Map<Facts, string[]>();
    for (const path of [...this.#nodes.keys()].sort()) {
      const facts = this.#nodes.get(path);
      if (facts !== undefined) names.set(facts, [...(names.get(facts) ?? []), path]);
    }
    const tree = new Map<string, Facts>();
    for (const [facts, paths] of names) {
      const linked = paths.length > 1 ? { links: String(paths.length), linkedWith: firstFound(paths) } : {};
      for (const path of paths) tree.set(path, { ...facts, ...linked });
    }
    return tree;
  }

  #isWhiteout(path: string): boolean {
    return posix.basename(path).startsWith(whiteoutPrefix);
  }

  #removeAsTold(path: string): void {
    const directory = this.#follow(parentOf(path));
    const name = posix.basename(path);
    if (name === opaqueName) this.#removeBelow(directory);
    else this.#remove(posix.join(directory, name.slice(whiteoutPrefix.length)));
  }

  #remove(path: string): void {
    this.#nodes.delete(path);
    this.#removeBelow(path);
  }

  #removeBelow(directory: string): void {
    const prefix = directory === "" ? "" : `${directory}/`;
    for (const path of this.#nodes.keys()) if (path !== "" && path.startsWith(prefix)) this.#nodes.delete(path);
  }

  #put(entry: NodeEntry, path: string): void {
    this.#implyParents(path);
    const facts = entry.kind === "hardlink" ? this.#nodes.get(this.#resolve(pathOf(entry.target))) : factsOf(entry);
    if (facts === undefined) throw new Error(`the hard link ${path} leads nowhere`);
    const replaced = this.#nodes.get(path);
    if (replaced?.["type"] === "directory" && facts["type"] !== "directory") this.#remove(path);
    this.#nodes.set(path, facts);
  }

  #implyParents(path: string): void {
    for (let parent = parentOf(path); !this.#nodes.has(parent); parent = parentOf(parent)) {
      this.#nodes.set(parent, { ...impliedDirectory });
    }
  }

  /** `path` with the links among its parents followed: an entry may lie under a lower layer's symbolic link. */
  #resolve(path: string): string {
    return path === "" ? "" : posix.join(this.#follow(parentOf(path)), posix.basename(path));
  }

  /** Where the directory `path` really is; links lead from the image's own root, and never out of it. */
  #follow(path: string, hops = 0): string {
    if (path === "" || hops > 40) return path;
    const here = posix.join(this.#follow(parentOf(path), hops), posix.basename(path));
    const facts = this.#nodes.get(here);
    if (facts?.["type"] !== "symlink") return here;
    const target = facts["target"] ?? "";
    return this.#follow(posix.join("/", target.startsWith("/") ? "" : parentOf(here), target).slice(1), hops + 1);
  }
}

/** The first name in the order of a walk: `a/b` comes before `a.c`, since the directory `a` does. */
function firstFound(paths: readonly string[]): string {
  const key = (path: string) => path.replaceAll("/", "\0");
  return paths.reduce((first, path) => (key(path) < key(first) ? path : first));
}
