// Room: unpack. Owns the application of a layer's entries to the tree below a root, by the rules of the OCI image format.
import { constants } from "node:fs";
import { invalidArgument, type SnapmillError } from "../../domain/errors.ts";
import { spaceUnder } from "../../system/file/space.ts";
import { type ByteString, display, joinBytes, maxPathBytes } from "../../system/tree/bytes.ts";
import { errnos, must } from "../../system/tree/calls.ts";
import { setSize, startWriteBack, writeAt } from "../../system/tree/data.ts";
import { changeTimes } from "../../system/tree/metadata.ts";
import { closeDescriptor, createFile, deviceNumber, makeLink, makeNode, makeSymlink } from "../../system/tree/tree.ts";
import type { TarEntry } from "../../tar/entry.ts";
import type { TarVisitor } from "../../tar/reader.ts";
import { Directories } from "./directories.ts";
import type { Directory } from "./directory.ts";
import { defaultMaxOpen } from "./directory-cache.ts";
import { entryFailure, type FailureContext } from "./failure.ts";
import { LayerPaths } from "./layer-paths.ts";
import { creationMode, finishDirectory, finishFile, finishNode } from "./metadata.ts";
import { markerOf, type Place, placeOf, tooLong } from "./names.ts";
import { emptyDirectory, type Removal, removePlain, removeTree, type Spared, sparedNothing } from "./remove.ts";

interface OpenFile {
  readonly entry: TarEntry & { readonly type: "file" };
  readonly directory: Directory;
  readonly descriptor: number;
  writtenTo: number;
  /** What has been written since its last write-back was started. */
  heldBytes: number;
}

export interface ApplierOptions {
  /** At least 2. */
  readonly maxOpenDirectories?: number;
  /** Called before each entry with the bytes written so far; what it throws ends the layer. */
  readonly onWritten?: (bytes: number) => void;
  /** See FailureContext; by default nothing below is checked. */
  readonly checkBelow?: () => void;
}

const nothing = () => undefined;

type Of<Type extends TarEntry["type"]> = Extract<TarEntry, { type: Type }> & { readonly type: Type };

/** Roughly what the file system needs for an entry or a directory besides its content, and the least for any content. */
const blockBytes = 4096;
/**
 * The content of large files goes to the disk while the layer goes on, so that little is left for the flush at its end: at
 * least so much at a time, since each start costs as much as a small file, and at most so much is held of one file.
 */
const writeBackBytes = { least: 64 * 2 ** 10, most: 8 * 2 ** 20 } as const;
/** The largest images have some hundred thousand. */
const maxEntries = 10_000_000;

/**
 * Takes the entries of one layer from a TarReader and creates them below `root`. Call `complete` after the last one;
 * dispose of it in any case. Errors: invalid_argument (the layer is wrong), resource_exhausted (no space), internal; each
 * names the entry.
 */
export class LayerApplier implements TarVisitor, Disposable {
  readonly #paths = new LayerPaths();
  readonly #directories: Directories;
  readonly #onWritten: (bytes: number) => void;
  readonly #failureContext: FailureContext;
  readonly #sparingOwn: Spared = {
    name: (directory, name) => this.#paths.has(directory, name),
    whole: (directory, name) => this.#paths.isWhole(directory, name),
  };
  #file: OpenFile | undefined;
  #current = "" as ByteString;
  #entries = 0;
  #writtenBytes = 0;

  constructor(root: number, options: ApplierOptions = {}) {
    const { maxOpenDirectories = defaultMaxOpen, onWritten = nothing, checkBelow = nothing } = options;
    this.#directories = new Directories(root, this.#paths, maxOpenDirectories);
    this.#onWritten = onWritten;
    this.#failureContext = { space: () => spaceUnder(root), checkBelow };
  }

  [Symbol.dispose](): void {
    this.#closeFile();
    this.#directories[Symbol.dispose]();
  }

  get entries(): number {
    return this.#entries;
  }

  /** Roughly what was written so far: content, attributes, and a block for each entry and each directory. */
  get writtenBytes(): number {
    return this.#writtenBytes + (this.#entries + this.#directories.made) * blockBytes;
  }

  begin(entry: TarEntry): void {
    this.#current = entry.name;
    this.#entries++;
    this.#directories.nextEntry();
    for (const value of entry.xattrs.values()) this.#writtenBytes += value.length;
    this.#onWritten(this.writtenBytes);
    try {
      this.#apply(entry);
    } catch (error) {
      throw entryFailure(this.#current, error, this.#failureContext);
    }
  }

  data(chunk: Uint8Array, start: number, end: number, offsetBytes: number): void {
    const file = this.#file;
    // Without a file it is the content of a whiteout, which is ignored.
    if (file === undefined) return;
    const written = writeAt(file.descriptor, chunk, start, end, offsetBytes);
    if (written < 0) this.#attempt(() => must(written, "write", file.entry.name));
    file.writtenTo = offsetBytes + end - start;
    file.heldBytes += end - start;
    if (file.heldBytes >= writeBackBytes.most) this.#attempt(() => writeBack(file));
    // The parts of a sparse file may be small and far apart.
    this.#writtenBytes += Math.max(end - start, blockBytes);
  }

  finish(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#attempt(() => {
      const { entry, directory, descriptor } = file;
      if (file.writtenTo !== entry.sizeBytes) must(setSize(descriptor, entry.sizeBytes), "ftruncate", entry.name);
      finishFile(descriptor, directory, entry);
      if (file.heldBytes >= writeBackBytes.least) writeBack(file);
    });
    this.#closeFile();
  }

  /** Sets the times of directories, which is possible only after the last entry. */
  complete(): void {
    this.#attempt(() => this.#directories.restoreTimes());
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      throw entryFailure(this.#current, error, this.#failureContext);
    }
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeDescriptor(this.#file.descriptor);
    this.#file = undefined;
  }

  #apply(entry: TarEntry): void {
    if (this.#entries > maxEntries) throw invalidArgument(`the layer has more than ${maxEntries} entries, the limit`);
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
    if (directory === undefined || directory.isLayers || this.#paths.isWhole(directory.path, hidden)) return;
    const isBrought = this.#paths.has(directory.path, hidden);
    // What this layer has made stays; of a directory that a lower layer has too, the lower layer's content is removed.
    if (isBrought && this.#directories.child(directory, hidden) === undefined) return;
    if (this.#remove(directory, hidden, this.#sparingOwn)) {
      this.#directories.becameLayers(joinBytes(directory.path, hidden));
    }
  }

  #opaque(path: ByteString): void {
    const directory = this.#directories.find(path);
    if (directory === undefined || directory.isLayers) return;
    emptyDirectory(this.#removal(this.#sparingOwn), directory.path, true);
    this.#directories.becameLayers(directory.path);
  }

  #place({ directory: path, base }: Place, entry: TarEntry): void {
    if (base === "") {
      this.#root(entry);
      return;
    }
    const directory = this.#directories.ensure(path);
    directory.willChange();
    if (directory.path.length + base.length + 1 >= maxPathBytes) throw tooLong();
    this.#make(directory, base, entry);
    this.#paths.add(directory, base);
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
    this.#file = { entry, directory, descriptor, writtenTo: 0, heldBytes: 0 };
  }

  #makeNode(directory: Directory, base: ByteString, entry: TarEntry, type: number, device: number): void {
    const mode = type | creationMode(entry);
    this.#replacing(directory, base, "mknod", () => makeNode(directory.descriptor, base, mode, device));
    finishNode(directory, base, entry);
  }

  /** An entry changes the attributes of an existing directory; anything else, also a link to a directory, it replaces. */
  #makeDirectory(parent: Directory, base: ByteString, entry: TarEntry): void {
    const make = () => this.#directories.make(parent, base, creationMode(entry));
    let made = make();
    const old = made === undefined ? this.#directories.child(parent, base) : undefined;
    if (made === undefined && old === undefined) {
      this.#remove(parent, base, sparedNothing);
      made = make();
    }
    if (made !== undefined) this.#listDirectory(made, entry, parent);
    else if (old !== undefined) this.#listDirectory(old, entry);
    else throw invalidArgument("something else appeared in its place");
  }

  #listDirectory(directory: Directory, entry: TarEntry, madeIn?: Directory): void {
    finishDirectory(directory, entry, madeIn);
    directory.setTimes({ atime: entry.atime ?? entry.mtime, mtime: entry.mtime });
  }

  /** A link shares its target's inode, so the entry's owner, mode and times are ignored. */
  #makeHardLink(directory: Directory, base: ByteString, entry: Of<"hardLink" | "symlink">): void {
    const target = placeOf(entry.target);
    const from = target.base === "" ? undefined : this.#directories.find(target.directory);
    const lost = () => refusedLink(entry, "does not exist or is a directory");
    if (from === undefined) throw lost();
    const path = joinBytes(directory.path, base);
    if (from.path === path || from.path.startsWith(`${path}/`)) throw refusedLink(entry, "lies below it");
    const isItself = from.path === directory.path && target.base === base;
    const link = () => {
      const linked = makeLink(from.descriptor, target.base, directory.descriptor, base);
      if (linked === -errnos.ENOENT || linked === -errnos.EPERM) throw lost();
      return linked;
    };
    if (!isItself) this.#replacing(directory, base, "link", link);
    // It is there already; it only must be a file.
    else if (link() !== -errnos.EEXIST || this.#directories.child(directory, base) !== undefined) throw lost();
  }

  /** Makes something new in place of what was there. */
  #replacing(directory: Directory, base: ByteString, call: string, make: () => number): number {
    let made = make();
    if (made === -errnos.EEXIST) {
      this.#remove(directory, base, sparedNothing);
      made = make();
    }
    return must(made, call, joinBytes(directory.path, base));
  }

  /** Whether it was a directory. */
  #remove(directory: Directory, name: ByteString, spared: Spared): boolean {
    directory.willChange();
    if (removePlain(directory.descriptor, directory.path, name) !== "directory") {
      this.#directories.replaced(directory, name);
      return false;
    }
    removeTree(this.#removal(spared), directory.descriptor, directory.path, name);
    return true;
  }

  #removal(spared: Spared): Removal {
    return {
      root: this.#directories.root.descriptor,
      spared,
      removed: (path) => this.#directories.removed(path),
      changed: (path, descriptor, before) => {
        const open = this.#directories.peek(path);
        if (open !== undefined) open.wasChanged(before);
        else must(changeTimes(descriptor, before.atime, before.mtime), "utimensat", path);
      },
    };
  }
}

function writeBack(file: OpenFile): void {
  must(startWriteBack(file.descriptor), "sync_file_range", file.entry.name);
  file.heldBytes = 0;
}

function refusedLink({ target }: Of<"hardLink" | "symlink">, why: string): SnapmillError {
  return invalidArgument(`it is a hard link to ${display(target)}, which ${why}`);
}

function deviceOf(entry: Of<"characterDevice" | "blockDevice">): number {
  const device = deviceNumber(entry.major, entry.minor);
  if (device === undefined) throw invalidArgument(`its device number ${entry.major}:${entry.minor} is out of range`);
  return device;
}
