// Room: unpack. Owns the record of which paths the layer itself has made: no whiteout of the same layer removes them.
import { invalidArgument } from "../../domain/errors.ts";
import type { ByteString } from "../../system/tree/bytes.ts";
import type { Directory } from "./directory.ts";
import { PathSet } from "./path-set.ts";

/** At eleven bytes each, 22 MiB. The largest images have some hundred thousand entries, most of them in new directories. */
const maxNames = 2_000_000;

/**
 * Paths contain no symbolic links. A directory without anything from a lower layer belongs to the layer with all its
 * content, so only the topmost of such directories are recorded, and names in directories of lower layers.
 */
export class LayerPaths {
  readonly #wholeDirectories = new PathSet();
  readonly #names = new PathSet();
  readonly #maxNames: number;

  constructor(limit = maxNames) {
    this.#maxNames = limit;
  }

  /** Throws invalid_argument when the limit is exceeded. */
  add(directory: Directory, name: ByteString): void {
    if (directory.isLayers) return;
    this.#names.add(directory.path, name);
    this.#checkSize();
  }

  has(directory: ByteString, name: ByteString): boolean {
    return this.#names.has(directory, name) || this.isWhole(directory, name);
  }

  /** `name` is a directory that has nothing from a lower layer any more. */
  addWhole(directory: ByteString, name: ByteString): void {
    this.#wholeDirectories.add(directory, name);
    this.#checkSize();
  }

  /** For a `directory` that may have something from lower layers. */
  isWhole(directory: ByteString, name: ByteString): boolean {
    return this.#wholeDirectories.has(directory, name);
  }

  /** Whether the directory at `path` has nothing from a lower layer. */
  isLayers(path: ByteString): boolean {
    return this.#wholeDirectories.hasAbove(path);
  }

  #checkSize(): void {
    if (this.#names.size + this.#wholeDirectories.size <= this.#maxNames) return;
    throw invalidArgument(
      `the layer brings more than ${this.#maxNames} names into directories of the layers below it, which is the limit`,
    );
  }
}
