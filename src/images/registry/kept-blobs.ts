// Room: images. Owns the cache of small blobs in memory: many images have the empty layer several times, for instance.
import type { Digest } from "../../domain/identifiers.ts";

/** Of one blob, and of all together. */
const maxBlobBytes = 1 << 20;
const maxBytes = 16 << 20;

/** Lives as long as its worker. The least recently used blob is evicted. */
export class KeptBlobs {
  readonly #kept = new Map<Digest, Buffer>();
  #bytes = 0;

  /** The blob from `offsetBytes` on: from the cache, or from `fetch`. A small blob that is fetched whole is cached. */
  async *read(
    blob: { readonly digest: Digest; readonly sizeBytes: number },
    offsetBytes: number,
    fetch: () => AsyncGenerator<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    const kept = this.#take(blob.digest);
    if (kept?.length === blob.sizeBytes) {
      yield kept.subarray(offsetBytes);
      return;
    }
    const isToKeep = offsetBytes === 0 && blob.sizeBytes <= maxBlobBytes;
    const chunks: Uint8Array[] = [];
    for await (const chunk of fetch()) {
      if (isToKeep) chunks.push(Uint8Array.from(chunk));
      yield chunk;
    }
    // Not earlier: `fetch` verifies the digest at its end.
    if (isToKeep) this.#keep(blob.digest, Buffer.concat(chunks));
  }

  #take(digest: Digest): Buffer | undefined {
    const kept = this.#kept.get(digest);
    if (kept === undefined) return undefined;
    this.#kept.delete(digest);
    this.#kept.set(digest, kept);
    return kept;
  }

  #keep(digest: Digest, bytes: Buffer): void {
    if (this.#kept.has(digest)) return;
    this.#kept.set(digest, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= maxBytes) return;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }
}
