// Room: unpack. Owns the application of a layer's entries to the tree below a root, by the rules of the OCI image format.
import { constants } from "node:fs";
import { invalidArgument } from "../../domain/errors.ts";
import { closeDescriptor, createFile, deviceNumber, makeLink, makeNode, makeSymlink } from "../../system/tree.ts";
import { type ByteString, display, joinBytes, maxPathBytes } from "../../system/tree-bytes.ts";
import { errnos, must } from "../../system/tree-calls.ts";
import { setSize, writeAt } from "../../system/tree-data.ts";
import type { TarEntry } from "../tar/entry.ts";
import type { TarVisitor } from "../tar/reader.ts";
import { Brought } from "./brought.ts";
import { Directories, type Directory } from "./directories.ts";
import { entryFailure } from "./failure.ts";
import { creationMode, finishDirectory, finishFile, finishNode } from "./metadata.ts";
import { markerOf, type Place, placeOf, tooLong } from "./names.ts";
import { emptyDirectory, removePlain, removeTree, type Spared, sparedNothing } from "./remove.ts";

interface OpenFile {
  readonly entry: TarEntry & { readonly type: "file" };
  readonly directory: Directory;
  readonly descriptor: number;
  writtenTo: number;
}

type Of<Type extends TarEntry["type"]> = Extract<TarEntry, { type: Type }> & { readonly type: Type };

/** Roughly what the file system needs for an entry beside its content. */
const entryCostBytes = 4096;

/**
 * Takes the entries of one layer from a TarReader and makes them real below `root`. After the last one call
 * `complete`; dispose of it in any case. Errors: invalid_argument (the layer is wrong), resource_exhausted (no room),
 * internal; each names the entry.
 */
export class LayerApplier implements TarVisitor, Disposable {
  readonly #brought = new Brought();
  readonly #directories: Directories;
  readonly #spared: Spared = {
    name: (directory, name) => this.#brought.has(directory, name),
    whole: (path) => this.#brought.isMade(path),
  };
  #file: OpenFile | undefined;
  #current = "" as ByteString;
  #entries = 0;
  #writtenBytes = 0;

  constructor(root: number) {
    this.#directories = new Directories(root, this.#brought);
  }

  [Symbol.dispose](): void {
    this.#closeFile();
    this.#directories[Symbol.dispose]();
  }

  get entries(): number {
    return this.#entries;
  }

  /** About what was written so far: content, and a block for each entry. */
  get writtenBytes(): number {
    return this.#writtenBytes + this.#entries * entryCostBytes;
  }

  begin(entry: TarEntry): void {
    this.#current = entry.name;
    this.#entries++;
    this.#attempt(() => this.#apply(entry));
  }

  data(chunk: Uint8Array, start: number, end: number, offsetBytes: number): void {
    const file = this.#file;
    // No file: the content of a whiteout, which nobody wants.
    if (file === undefined) return;
    const written = writeAt(file.descriptor, chunk, start, end, offsetBytes);
    if (written < 0) this.#attempt(() => must(written, "write", file.entry.name));
    file.writtenTo = offsetBytes + end - start;
    this.#writtenBytes += end - start;
  }

  finish(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#attempt(() => {
      const { entry, directory, descriptor } = file;
      if (file.writtenTo !== entry.sizeBytes) must(setSize(descriptor, entry.sizeBytes), "ftruncate", entry.name);
      finishFile(descriptor, directory, entry);
    });
    this.#closeFile();
  }

  /** What can be done only when all entries are there: the times of directories. */
  complete(): void {
    this.#attempt(() => this.#directories.restoreTimes());
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      throw entryFailure(this.#current, error);
    }
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeDescriptor(this.#file.descriptor);
    this.#file = undefined;
  }

  #apply(entry: TarEntry): void {
    const place = placeOf(entry.name);
    const marker = markerOf(place);
    switch (marker.kind) {
      case "none":
        this.#place(place, entry);
        return;
      case "whiteout":
        this.#whiteout(place.directory, marker.hidden);
        return;
      case "opaque":
        this.#opaque(place.directory);
        return;
      case "ignored":
    }
  }

  #whiteout(path: ByteString, hidden: ByteString): void {
    const directory = this.#directories.find(path);
    if (directory === undefined || this.#brought.isMade(joinBytes(directory.path, hidden))) return;
    const isBrought = this.#brought.has(directory.path, hidden);
    // What the layer brought stays; but if that is a directory of a lower layer too, what was in it goes.
    if (isBrought && this.#directories.child(directory, hidden) === undefined) return;
    this.#remove(directory, hidden, this.#spared);
  }

  #opaque(path: ByteString): void {
    const directory = this.#directories.find(path);
    if (directory === undefined || this.#brought.isMade(directory.path)) return;
    this.#directories.forgetLinks();
    emptyDirectory(this.#directories.root.descriptor, directory.path, this.#spared);
    this.#directories.forget(directory.path);
  }

  #place({ directory: path, base }: Place, entry: TarEntry): void {
    if (base === "") {
      this.#root(entry);
      return;
    }
    const directory = this.#directories.ensure(path);
    if (directory.path.length + base.length + 1 >= maxPathBytes) throw tooLong();
    this.#make(directory, base, entry);
    this.#brought.add(directory.path, base);
  }

  #root(entry: TarEntry): void {
    if (entry.type !== "directory") throw invalidArgument("it would replace the root, which is always a directory");
    this.#listDirectory(this.#directories.root, entry);
  }

  #make(directory: Directory, base: ByteString, entry: TarEntry): void {
    switch (entry.type) {
      case "file":
        this.#makeFile(directory, base, entry);
        return;
      case "directory":
        this.#makeDirectory(directory, base, entry);
        return;
      case "hardLink":
        this.#makeHardLink(directory, base, entry);
        return;
      case "symlink":
        this.#replacing(directory, base, "symlink", () => makeSymlink(directory.descriptor, base, entry.target));
        finishNode(directory, base, entry);
        return;
      case "fifo":
        this.#makeNode(directory, base, entry, constants.S_IFIFO, 0);
        return;
      case "characterDevice":
        this.#makeNode(directory, base, entry, constants.S_IFCHR, deviceOf(entry));
        return;
      case "blockDevice":
        this.#makeNode(directory, base, entry, constants.S_IFBLK, deviceOf(entry));
    }
  }

  #makeFile(directory: Directory, base: ByteString, entry: Of<"file">): void {
    const create = () => createFile(directory.descriptor, base, creationMode(entry));
    const descriptor = this.#replacing(directory, base, "create", create);
    this.#file = { entry, directory, descriptor, writtenTo: 0 };
  }

  #makeNode(directory: Directory, base: ByteString, entry: TarEntry, type: number, device: number): void {
    const mode = type | creationMode(entry);
    this.#replacing(directory, base, "mknod", () => makeNode(directory.descriptor, base, mode, device));
    finishNode(directory, base, entry);
  }

  /** Over a directory, an entry changes its attributes; over anything else, also a link to a directory, it replaces it. */
  #makeDirectory(parent: Directory, base: ByteString, entry: TarEntry): void {
    const make = () => this.#directories.make(parent, base, creationMode(entry));
    let directory = make() ?? this.#directories.child(parent, base);
    if (directory === undefined) {
      this.#remove(parent, base, sparedNothing);
      directory = make();
    }
    if (directory === undefined) throw invalidArgument("something else appeared in its place");
    this.#listDirectory(directory, entry);
  }

  #listDirectory(directory: Directory, entry: TarEntry): void {
    finishDirectory(directory, entry);
    this.#directories.setTimes(directory, { atime: entry.atime ?? entry.mtime, mtime: entry.mtime });
  }

  /** A link shares its target's inode: owner, mode and times in the entry say nothing. */
  #makeHardLink(directory: Directory, base: ByteString, entry: Of<"hardLink" | "symlink">): void {
    const target = placeOf(entry.target);
    const from = target.base === "" ? undefined : this.#directories.find(target.directory);
    const lost = () =>
      invalidArgument(`it is a hard link to ${display(entry.target)}, which does not exist or is a directory`);
    if (from === undefined) throw lost();
    if (from.path === directory.path && target.base === base) return;
    const link = () => {
      const linked = makeLink(from.descriptor, target.base, directory.descriptor, base);
      if (linked === -errnos.ENOENT || linked === -errnos.EPERM) throw lost();
      return linked;
    };
    this.#replacing(directory, base, "link", link);
  }

  /** Makes something that must be new, in the place of what was there. */
  #replacing(directory: Directory, base: ByteString, call: string, make: () => number): number {
    let made = make();
    if (made === -errnos.EEXIST) {
      this.#remove(directory, base, sparedNothing);
      made = make();
    }
    return must(made, call, joinBytes(directory.path, base));
  }

  #remove(directory: Directory, name: ByteString, spared: Spared): void {
    if (removePlain(directory.descriptor, directory.path, name) !== "directory") {
      this.#directories.forgetLinks();
      return;
    }
    this.#directories.forget(joinBytes(directory.path, name));
    removeTree(this.#directories.root.descriptor, directory.path, name, spared);
  }
}

function deviceOf(entry: Of<"characterDevice" | "blockDevice">): number {
  const device = deviceNumber(entry.major, entry.minor);
  if (device === undefined) throw invalidArgument(`its device number ${entry.major}:${entry.minor} is out of range`);
  return device;
}
