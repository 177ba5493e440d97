// Room: unpack. Owns a cache of where paths with symbolic links lead, valid while none of the links changes.
import { type ByteString, joinBytes } from "../../system/tree/bytes.ts";

/** How many paths are cached; the cache is emptied when there are more. */
const maxBytes = 4 * 2 ** 20;

export class LinkCache {
  /** Real paths of directories, by a path that leads to them through links. */
  readonly #realPaths = new Map<ByteString, ByteString>();
  /** Real paths of the links on the way to any of them. */
  readonly #links = new Set<ByteString>();
  #bytes = 0;

  realPath(path: ByteString): ByteString | undefined {
    return this.#realPaths.get(path);
  }

  /** `path` leads to the directory at `realPath`, through `links`. */
  remember(path: ByteString, realPath: ByteString, links: readonly ByteString[]): void {
    if (this.#bytes > maxBytes) this.clear();
    this.#realPaths.set(path, realPath);
    this.#bytes += path.length + realPath.length;
    for (const link of links) {
      if (this.#links.has(link)) continue;
      this.#links.add(link);
      this.#bytes += link.length;
    }
  }

  /** Something that is no directory was removed or replaced: it may have been one of the links. */
  gone(directory: ByteString, name: ByteString): void {
    if (this.#links.size > 0 && this.#links.has(joinBytes(directory, name))) this.clear();
  }

  clear(): void {
    if (this.#bytes === 0) return;
    this.#realPaths.clear();
    this.#links.clear();
    this.#bytes = 0;
  }
}
