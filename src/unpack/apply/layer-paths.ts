// Room: unpack. Owns the memory of what the layer itself has brought: that no whiteout of the same layer removes.
import { invalidArgument } from "../../domain/errors.ts";
import type { ByteString } from "../../system/tree/bytes.ts";
import type { Directory } from "./directory.ts";
import { PathSet } from "./path-set.ts";

/** At eleven bytes each: 22 MiB. The largest images have some hundred thousand entries, most of them in directories of their own. */
const maxNames = 2_000_000;

/**
 * Paths are real ones: no symbolic link leads to them. All in a directory of which nothing is a lower layer's is the
 * layer's own, so only the topmost of those are remembered, and names in directories of lower layers.
 */
export class LayerPaths {
  readonly #wholeDirectories = new PathSet();
  readonly #names = new PathSet();
  readonly #maxNames: number;

  constructor(limit = maxNames) {
    this.#maxNames = limit;
  }

  /** Throws invalid_argument when that is one name too many. */
  add(directory: Directory, name: ByteString): void {
    if (directory.isLayers) return;
    this.#names.add(directory.path, name);
    this.#checkSize();
  }

  has(directory: ByteString, name: ByteString): boolean {
    return this.#names.has(directory, name) || this.isWhole(directory, name);
  }

  /** `name` is a directory in which nothing is a lower layer's any more. */
  addWhole(directory: ByteString, name: ByteString): void {
    this.#wholeDirectories.add(directory, name);
    this.#checkSize();
  }

  /** For a `directory` in which there may be something of lower layers. */
  isWhole(directory: ByteString, name: ByteString): boolean {
    return this.#wholeDirectories.has(directory, name);
  }

  /** Whether nothing in the directory at `path` is a lower layer's. */
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
