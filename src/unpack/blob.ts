// Room: unpack. Owns the reading of a blob from its file: ahead of its reader, with its digest.
import type { FileHandle } from "node:fs/promises";
import { invalidArgument } from "../domain/errors.ts";
import { type Digest, digest } from "../domain/identifiers.ts";
import { chunkBytes } from "../images/decompress.ts";
import { openRange } from "../images/files.ts";
import type { BlobRange } from "../images/image.ts";

/** A blob's bytes, once. `readBytes` and `digest` speak of what has been given out; of all of it after the end. */
export class BlobReader {
  readonly #range: BlobRange;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  #readBytes = 0;

  constructor(range: BlobRange) {
    this.#range = range;
  }

  get readBytes(): number {
    return this.#readBytes;
  }

  /** To be asked once, at the end. */
  digest(): Digest {
    return digest(`sha256:${this.#hasher.digest("hex")}`);
  }

  /**
   * Chunks of at most 512 KiB. Each is valid until the next is asked for: two buffers take turns, one being filled while
   * the other is used. Throws invalid_argument when the file ends before the blob does, and
   * what `openRange` throws.
   */
  async *chunks(): AsyncGenerator<Uint8Array> {
    await using file = await openRange(this.#range);
    const buffers = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)] as const;
    let next = this.#fill(file.handle, buffers[0], 0);
    for (let turn = 1; this.#readBytes < this.#range.lengthBytes; turn++) {
      const chunk = await next;
      const offsetBytes = this.#readBytes + chunk.length;
      next = this.#fill(file.handle, buffers[turn % 2 === 0 ? 0 : 1], offsetBytes);
      // Whoever stops reading half-way leaves this read behind; its failure then concerns nobody.
      next.catch(() => undefined);
      this.#hasher.update(chunk);
      this.#readBytes = offsetBytes;
      yield chunk;
    }
    await next;
  }

  async #fill(file: FileHandle, buffer: Buffer, atBytes: number): Promise<Uint8Array> {
    const { offsetBytes, lengthBytes, path } = this.#range;
    const wantedBytes = Math.min(buffer.length, lengthBytes - atBytes);
    let filledBytes = 0;
    while (filledBytes < wantedBytes) {
      const position = offsetBytes + atBytes + filledBytes;
      const { bytesRead } = await file.read(buffer, filledBytes, wantedBytes - filledBytes, position);
      if (bytesRead === 0) {
        const haveBytes = atBytes + filledBytes;
        throw invalidArgument(`the blob in ${path} is truncated: ${haveBytes} of ${lengthBytes} bytes are there`);
      }
      filledBytes += bytesRead;
    }
    return buffer.subarray(0, wantedBytes);
  }
}
