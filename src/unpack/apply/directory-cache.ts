// Room: unpack. Owns the directories that are kept open: a bounded number, which includes those that the entry uses.
import type { ByteString } from "../../system/tree/bytes.ts";
import { Directory } from "./directory.ts";

/** Most images use fewer directories at a time; each needs a file descriptor. */
export const defaultMaxOpen = 256;

/**
 * Open directories by path. Those that `hold` was called for stay open until `nextEntry`; of the others the least
 * recently used is closed when there are too many. A directory gets its times when it is closed, so that nothing here
 * grows with the layer.
 */
export class DirectoryCache implements Disposable {
  readonly #maxOpen: number;
  /** The least recently used first. */
  readonly #open = new Map<ByteString, Directory>();
  #entry = 1;

  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen;
  }

  [Symbol.dispose](): void {
    for (const directory of this.#open.values()) directory.close();
    this.#open.clear();
  }

  /** From here on, directories held for the previous entry may be closed. */
  nextEntry(): void {
    this.#entry++;
  }

  hold(directory: Directory): Directory {
    directory.heldFor = this.#entry;
    return directory;
  }

  /** The directory at `path`, if it is open. */
  recall(path: ByteString): Directory | undefined {
    const directory = this.#open.get(path);
    if (directory === undefined) return undefined;
    this.#open.delete(path);
    this.#open.set(path, directory);
    return directory;
  }

  /** As `recall`, but it does not count as a use. */
  peek(path: ByteString): Directory | undefined {
    return this.#open.get(path);
  }

  /** Takes ownership of a new descriptor. Others may be closed by this, but not the one that was used last. */
  adopt(path: ByteString, descriptor: number, isLayers: boolean): Directory {
    const directory = new Directory(path, descriptor, isLayers);
    this.#open.set(path, directory);
    if (this.#open.size > this.#maxOpen) this.#closeIdle(directory);
    return directory;
  }

  /** The directory at `path` is gone. */
  forget(path: ByteString): void {
    this.#open.get(path)?.close();
    this.#open.delete(path);
  }

  /** Nothing of lower layers is left at `path` and below. */
  becameLayers(path: ByteString): void {
    const below = `${path}/`;
    for (const [candidate, directory] of this.#open) {
      if (path === "" || candidate === path || candidate.startsWith(below)) directory.isLayers = true;
    }
  }

  restoreTimes(): void {
    for (const directory of this.#open.values()) directory.restoreTimes();
  }

  #closeIdle(newest: Directory): void {
    for (const [path, directory] of this.#open) {
      if (directory === newest || this.#open.size <= this.#maxOpen) return;
      if (directory.heldFor === this.#entry) continue;
      this.#open.delete(path);
      try {
        directory.restoreTimes();
      } finally {
        directory.close();
      }
    }
  }
}
