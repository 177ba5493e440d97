// Room: unpack. Owns the directories of the tree while a layer is applied: finding, making, keeping them open.

import { closeDescriptor, makeDirectory, openDirectoryBelow, openDirectoryIn, readLink } from "../../system/tree.ts";
import { type ByteString, joinBytes, maxPathBytes } from "../../system/tree-bytes.ts";
import { errnos, must } from "../../system/tree-calls.ts";
import { changeMode, changeTimes, type FileTime, statusOf } from "../../system/tree-metadata.ts";
import { hasXattr } from "../../system/tree-xattrs.ts";
import type { Brought } from "./brought.ts";

export interface Directory {
  /** From the root, through no symbolic link. "" is the root. */
  readonly path: ByteString;
  /** Open as long as the directory is among the last few hundred that were used. */
  readonly descriptor: number;
  /** New files in it get its group, or its default ACL, instead of what a process gives them. */
  setgid: boolean;
  inheritsAcl: boolean;
}

interface Times {
  readonly atime: FileTime;
  readonly mtime: FileTime;
}

const maxOpen = 256;
const maxAliases = 10_000;
/** As the kernel allows on one path. */
const maxLinks = 40;
const setgidBit = 0o2000;
const impliedMode = 0o755;
const root = "" as ByteString;
const defaultAcl = "system.posix_acl_default" as ByteString;

export class Directories implements Disposable {
  readonly #root: Directory;
  readonly #brought: Brought;
  /** By real path; the least recently used first. */
  readonly #open = new Map<ByteString, Directory>();
  /** Real paths of those that a symbolic link leads to. */
  readonly #aliases = new Map<ByteString, ByteString>();
  /** Of every directory that was touched, as they are to be at the end. */
  readonly #times = new Map<ByteString, Times>();

  constructor(rootDescriptor: number, brought: Brought) {
    this.#brought = brought;
    this.#root = this.#describe(root, must(openDirectoryBelow(rootDescriptor, root), "open", root));
  }

  [Symbol.dispose](): void {
    for (const { descriptor } of this.#open.values()) closeDescriptor(descriptor);
    this.#open.clear();
    closeDescriptor(this.#root.descriptor);
  }

  get root(): Directory {
    return this.#root;
  }

  /** The directory at `path`, following symbolic links inside the root; what is missing is made, 0755 and root's. */
  ensure(path: ByteString): Directory {
    const found = this.#lookUp(path, "make");
    if (typeof found === "number") must(found, "open directory", path);
    return found as Directory;
  }

  /** The directory at `path`, or undefined where there is none. */
  find(path: ByteString): Directory | undefined {
    const found = this.#lookUp(path, "find");
    if (typeof found !== "number") return found;
    if (found === -errnos.ENOENT || found === -errnos.ENOTDIR || found === -errnos.ELOOP) return undefined;
    must(found, "open directory", path);
    return undefined;
  }

  /** The directory `name` in `parent` itself, no symbolic link; undefined where there is none. */
  child(parent: Directory, name: ByteString): Directory | undefined {
    const found = this.#enter(parent, name);
    if (typeof found !== "number") return found;
    if (found === -errnos.ENOTDIR || found === -errnos.ENOENT) return undefined;
    must(found, "open directory", joinBytes(parent.path, name));
    return undefined;
  }

  /** Makes the directory `name` in `parent`; undefined when something is there. */
  make(parent: Directory, name: ByteString, mode: number): Directory | undefined {
    const path = joinBytes(parent.path, name);
    const made = path.length < maxPathBytes ? makeDirectory(parent.descriptor, name, mode) : -errnos.ENAMETOOLONG;
    if (made === -errnos.EEXIST) return undefined;
    must(made, "mkdir", path);
    this.#brought.madeDirectory(path);
    this.#times.delete(path);
    const directory = this.#enter(parent, name);
    if (typeof directory === "number") must(directory, "open directory", path);
    return directory as Directory;
  }

  /** Called when something that is no directory was removed or replaced: it may have been a symbolic link. */
  forgetLinks(): void {
    if (this.#aliases.size > 0) this.#aliases.clear();
  }

  /** Called before the directory at `path` is removed. */
  forget(path: ByteString): void {
    this.forgetLinks();
    const below = `${path}/`;
    for (const [candidate, { descriptor }] of this.#open) {
      if (candidate !== path && !candidate.startsWith(below)) continue;
      closeDescriptor(descriptor);
      this.#open.delete(candidate);
    }
  }

  setTimes(directory: Directory, times: Times): void {
    this.#times.set(directory.path, times);
  }

  /** Gives every directory that was touched the times it is to have: the layer's, or those it had before. */
  restoreTimes(): void {
    for (const [path, { atime, mtime }] of this.#times) {
      const directory = path === root ? this.#root : (this.#open.get(path) ?? this.#reopen(path));
      if (typeof directory !== "number") must(changeTimes(directory.descriptor, atime, mtime), "utimensat", path);
    }
  }

  #lookUp(path: ByteString, missing: "make" | "find"): Directory | number {
    if (path === root) return this.#root;
    const known = this.#recall(path) ?? this.#recall(this.#aliases.get(path));
    if (known !== undefined) return known;
    const direct = this.#reopen(path);
    if (typeof direct !== "number" || direct === -errnos.ENAMETOOLONG) return direct;
    // There is a symbolic link on the way, or something is missing.
    const walked = this.#walk(path, missing);
    if (typeof walked !== "number" && walked.path !== path) {
      if (this.#aliases.size >= maxAliases) this.#aliases.clear();
      this.#aliases.set(path, walked.path);
    }
    return walked;
  }

  /** Goes component by component and expands symbolic links against the root; the kernel is never asked to. */
  #walk(path: ByteString, missing: "make" | "find"): Directory | number {
    const pending = path.split("/").reverse() as ByteString[];
    let here = this.#root;
    let links = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const next = this.#stride(here, name, missing);
      if (typeof next !== "number") {
        here = next;
        continue;
      }
      if (next !== -errnos.ENOTDIR) return next;
      const target = readLink(here.descriptor, name);
      if (typeof target === "number") return -errnos.ENOTDIR;
      if (++links > maxLinks) return -errnos.ELOOP;
      if (target.startsWith("/")) here = this.#root;
      pending.push(...(target.split("/").reverse() as ByteString[]));
    }
    return here;
  }

  #stride(here: Directory, name: ByteString, missing: "make" | "find"): Directory | number {
    if (name === "" || name === ".") return here;
    if (name === "..") {
      const above = here.path.slice(0, Math.max(0, here.path.lastIndexOf("/"))) as ByteString;
      return above === root ? this.#root : (this.#recall(above) ?? this.#reopen(above));
    }
    const next = this.#enter(here, name);
    if (next !== -errnos.ENOENT || missing === "find") return next;
    const made = this.make(here, name, impliedMode);
    if (made === undefined) return -errnos.EEXIST;
    must(changeMode(made.descriptor, impliedMode), "fchmod", made.path);
    return made;
  }

  #enter(parent: Directory, name: ByteString): Directory | number {
    const path = joinBytes(parent.path, name);
    const known = this.#recall(path);
    if (known !== undefined) return known;
    const descriptor = openDirectoryIn(parent.descriptor, name);
    return descriptor < 0 ? descriptor : this.#adopt(path, descriptor);
  }

  #reopen(path: ByteString): Directory | number {
    const descriptor = openDirectoryBelow(this.#root.descriptor, path);
    return descriptor < 0 ? descriptor : this.#adopt(path, descriptor);
  }

  #recall(path: ByteString | undefined): Directory | undefined {
    if (path === undefined) return undefined;
    const directory = this.#open.get(path);
    if (directory === undefined) return undefined;
    this.#open.delete(path);
    this.#open.set(path, directory);
    return directory;
  }

  #adopt(path: ByteString, descriptor: number): Directory {
    const directory = this.#describe(path, descriptor);
    this.#open.set(path, directory);
    if (this.#open.size > maxOpen) {
      for (const [oldest, { descriptor: idle }] of this.#open) {
        closeDescriptor(idle);
        this.#open.delete(oldest);
        break;
      }
    }
    return directory;
  }

  /** Notes the times of a directory of the lower layers before anything in it is changed. */
  #describe(path: ByteString, descriptor: number): Directory {
    const status = statusOf(descriptor, path);
    if (!this.#brought.isMade(path) && !this.#times.has(path)) {
      this.#times.set(path, { atime: status.atime, mtime: status.mtime });
    }
    const setgid = (status.mode & setgidBit) !== 0;
    return { path, descriptor, setgid, inheritsAcl: hasXattr(descriptor, defaultAcl) };
  }
}
