// Room: images. Owns small blobs that were fetched lately: the empty layer, say, comes several times in many images.
import type { Digest } from "../../domain/identifiers.ts";

/** Of one blob, and of all together. */
const maxBlobBytes = 1 << 20;
const maxBytes = 16 << 20;

/** In memory, for the life of a worker; the longest unused one gives way. */
export class KeptBlobs {
  readonly #kept = new Map<Digest, Buffer>();
  #bytes = 0;

  /** The blob from `offsetBytes` on: as it was kept, or from `fetch`, and kept when it comes whole and is small. */
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
    // Only here is it known to be what its digest says.
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
