// Room: unpack. Owns finding and making directories of the tree while a layer is applied, through links or not.

import { type ByteString, joinBytes, maxPathBytes } from "../../system/tree/bytes.ts";
import { errnos, must } from "../../system/tree/calls.ts";
import { changeMode } from "../../system/tree/metadata.ts";
import { makeDirectory, openDirectoryBelow, openDirectoryIn, readLink } from "../../system/tree/tree.ts";
import { Directory } from "./directory.ts";
import { DirectoryCache } from "./directory-cache.ts";
import type { LayerPaths } from "./layer-paths.ts";
import { LinkCache } from "./link-cache.ts";
import { StepBudget } from "./step-budget.ts";

/** As the kernel allows on one path. */
const maxLinks = 40;
const impliedMode = 0o755;
const root = "" as ByteString;

/** Directories that it returns stay open until `nextEntry`. */
export class Directories implements Disposable {
  readonly #root: Directory;
  readonly #paths: LayerPaths;
  readonly #cache: DirectoryCache;
  readonly #links = new LinkCache();
  readonly #steps = new StepBudget();
  #made = 0;

  constructor(rootDescriptor: number, paths: LayerPaths, maxOpen: number) {
    this.#paths = paths;
    this.#cache = new DirectoryCache(maxOpen);
    this.#root = new Directory(root, must(openDirectoryBelow(rootDescriptor, root), "open", root), false);
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
    this.#root.close();
  }

  get root(): Directory {
    return this.#root;
  }

  /** How many were made so far. */
  get made(): number {
    return this.#made;
  }

  nextEntry(): void {
    this.#cache.nextEntry();
    this.#steps.nextEntry();
  }

  /** The directory at `path`, through symbolic links inside the root; missing directories are made, 0755 and owned by root. */
  ensure(path: ByteString): Directory {
    const found = this.#lookUp(path, "make");
    if (typeof found === "number") must(found, "open directory", path);
    return this.#cache.hold(found as Directory);
  }

  /** The directory at `path`, or undefined where there is none. */
  find(path: ByteString): Directory | undefined {
    return this.#foundOrNot(this.#lookUp(path, "find"), path);
  }

  /** The directory `name` in `parent` itself, no symbolic link; undefined where there is none. */
  child(parent: Directory, name: ByteString): Directory | undefined {
    return this.#foundOrNot(this.#enter(parent, name), joinBytes(parent.path, name));
  }

  #foundOrNot(found: Directory | number, path: ByteString): Directory | undefined {
    if (typeof found !== "number") return this.#cache.hold(found);
    if (found === -errnos.ENOENT || found === -errnos.ENOTDIR || found === -errnos.ELOOP) return undefined;
    must(found, "open directory", path);
    return undefined;
  }

  /** Makes the directory `name` in `parent`; undefined when something is there. */
  make(parent: Directory, name: ByteString, mode: number): Directory | undefined {
    const path = joinBytes(parent.path, name);
    parent.willChange();
    const made = path.length < maxPathBytes ? makeDirectory(parent.descriptor, name, mode) : -errnos.ENAMETOOLONG;
    if (made === -errnos.EEXIST) return undefined;
    must(made, "mkdir", path);
    this.#made++;
    if (!parent.isLayers) this.#paths.addWhole(parent.path, name);
    const directory = this.#enter(parent, name);
    if (typeof directory === "number") must(directory, "open directory", path);
    return this.#cache.hold(directory as Directory);
  }

  /** Called when `name`, which is no directory, was removed or replaced: it may have been a symbolic link. */
  replaced(directory: Directory, name: ByteString): void {
    this.#links.gone(directory.path, name);
  }

  /** Called when the directory at `path` was removed. */
  removed(path: ByteString): void {
    this.#links.clear();
    this.#cache.forget(path);
  }

  /** The directory at `path`, if it happens to be open. */
  peek(path: ByteString): Directory | undefined {
    return path === root ? this.#root : this.#cache.peek(path);
  }

  /** Called when nothing of lower layers is left in the directory at `path`. */
  becameLayers(path: ByteString): void {
    this.#paths.addWhole(path, root);
    this.#cache.becameLayers(path);
    if (path === root) this.#root.isLayers = true;
  }

  /** Sets the times of every directory that was changed: the layer's, or those it had before. */
  restoreTimes(): void {
    this.#cache.restoreTimes();
    this.#root.restoreTimes();
  }

  #lookUp(path: ByteString, missing: "make" | "find"): Directory | number {
    if (path === root) return this.#root;
    const known = this.#cache.recall(path) ?? this.#throughLinks(path);
    if (known !== undefined) return known;
    const direct = this.#reopen(path);
    if (typeof direct !== "number" || direct === -errnos.ENAMETOOLONG) return direct;
    if (direct === -errnos.ENOENT && missing === "find") return direct;
    // There is a symbolic link on the way, or something is missing.
    const links: ByteString[] = [];
    const walked = this.#walk(path, missing, links);
    if (typeof walked !== "number" && links.length > 0) this.#links.remember(path, walked.path, links);
    return walked;
  }

  #throughLinks(path: ByteString): Directory | undefined {
    const real = this.#links.realPath(path);
    if (real === undefined) return undefined;
    const directory = real === root ? this.#root : (this.#cache.recall(real) ?? this.#reopen(real));
    return typeof directory === "number" ? undefined : directory;
  }

  /**
   * Goes component by component and expands symbolic links against the root; the kernel is never asked to. Adds the
   * links that it followed to `links`.
   */
  #walk(path: ByteString, missing: "make" | "find", links: ByteString[]): Directory | number {
    const pending = path.split("/").reverse() as ByteString[];
    let here = this.#root;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      this.#steps.take();
      const next = this.#stride(here, name, missing);
      if (typeof next !== "number") {
        here = next;
        continue;
      }
      if (next !== -errnos.ENOTDIR) return next;
      const target = readLink(here.descriptor, name);
      if (typeof target === "number") return -errnos.ENOTDIR;
      if (links.push(joinBytes(here.path, name)) > maxLinks) return -errnos.ELOOP;
      if (target.startsWith("/")) here = this.#root;
      for (const part of target.split("/").reverse()) pending.push(part as ByteString);
    }
    return here;
  }

  #stride(here: Directory, name: ByteString, missing: "make" | "find"): Directory | number {
    if (name === "" || name === ".") return here;
    if (name === "..") {
      const above = here.path.slice(0, Math.max(0, here.path.lastIndexOf("/"))) as ByteString;
      return above === root ? this.#root : (this.#cache.recall(above) ?? this.#reopen(above));
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
    const known = this.#cache.recall(path);
    if (known !== undefined) return known;
    const descriptor = openDirectoryIn(parent.descriptor, name);
    if (descriptor < 0) return descriptor;
    return this.#cache.adopt(path, descriptor, parent.isLayers || this.#paths.isWhole(parent.path, name));
  }

  #reopen(path: ByteString): Directory | number {
    const descriptor = openDirectoryBelow(this.#root.descriptor, path);
    return descriptor < 0 ? descriptor : this.#cache.adopt(path, descriptor, this.#paths.isLayers(path));
  }
}
