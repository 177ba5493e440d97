// Room: unpack. Owns the memory of what the layer itself has brought: that no whiteout of the same layer removes.
import type { ByteString } from "../../system/tree-bytes.ts";

/**
 * Paths are real ones: no symbolic link leads to them. All in a directory that the layer made is the layer's, so only
 * names in directories of lower layers are remembered one by one.
 */
export class Brought {
  readonly #madeDirectories = new Set<ByteString>();
  readonly #names = new Map<ByteString, Set<ByteString>>();

  madeDirectory(path: ByteString): void {
    this.#madeDirectories.add(path);
  }

  isMade(path: ByteString): boolean {
    return this.#madeDirectories.has(path);
  }

  add(directory: ByteString, name: ByteString): void {
    if (this.#madeDirectories.has(directory)) return;
    const names = this.#names.get(directory);
    if (names === undefined) this.#names.set(directory, new Set([name]));
    else names.add(name);
  }

  has(directory: ByteString, name: ByteString): boolean {
    return this.#madeDirectories.has(directory) || this.#names.get(directory)?.has(name) === true;
  }
}
