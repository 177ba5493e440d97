// Room: unpack. Owns the reading of a blob from its file or its pipe, with its digest.
import type { FileHandle } from "node:fs/promises";
import { invalidArgument } from "../domain/errors.ts";
import { type Digest, digest } from "../domain/identifiers.ts";
import { chunkBytes } from "../images/decompress.ts";
import { openRange } from "../images/files.ts";
import type { BlobRange } from "../images/image.ts";
import type { BlobPipe, BlobSource } from "./blob-messages.ts";

/** Reads a blob's bytes once. `readBytes` and `digest` cover what has been returned so far. */
export class BlobReader {
  readonly #blob: BlobSource["blob"];
  readonly #hasher = new Bun.CryptoHasher("sha256");
  #readBytes = 0;

  constructor(blob: BlobSource["blob"]) {
    this.#blob = blob;
  }

  get readBytes(): number {
    return this.#readBytes;
  }

  /** Call it once, at the end. */
  digest(): Digest {
    return digest(`sha256:${this.#hasher.digest("hex")}`);
  }

  /**
   * Chunks of at most 512 KiB, each valid until the next is asked for. Throws invalid_argument when file or pipe end before
   * the blob does, and what `openRange` throws.
   */
  async *chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of "pipe" in this.#blob ? throughPipe(this.#blob) : fromFile(this.#blob)) {
      this.#hasher.update(chunk);
      this.#readBytes += chunk.length;
      yield chunk;
    }
  }
}

/** Reads ahead with two buffers: one is filled while the other is used. */
async function* fromFile(range: BlobRange): AsyncGenerator<Uint8Array> {
  await using file = await openRange(range);
  const buffers = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)] as const;
  let next = fill(file.handle, range, buffers[0], 0);
  let readBytes = 0;
  for (let turn = 1; readBytes < range.lengthBytes; turn++) {
    const chunk = await next;
    readBytes += chunk.length;
    next = fill(file.handle, range, buffers[turn % 2 === 0 ? 0 : 1], readBytes);
    // A reader that stops half-way abandons this read, whose failure then does not matter.
    next.catch(() => undefined);
    yield chunk;
  }
  await next;
}

async function fill(file: FileHandle, range: BlobRange, buffer: Buffer, atBytes: number): Promise<Uint8Array> {
  const { offsetBytes, lengthBytes, path } = range;
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

/** Reading a pipe blocks no thread: the runtime polls it. */
async function* throughPipe({ pipe, lengthBytes }: BlobPipe): AsyncGenerator<Uint8Array> {
  let readBytes = 0;
  for await (const chunk of Bun.file(pipe).stream()) {
    readBytes += chunk.length;
    if (readBytes > lengthBytes) throw invalidArgument(`the blob has more than its ${lengthBytes} bytes`);
    for (let at = 0; at < chunk.length; at += chunkBytes) yield chunk.subarray(at, at + chunkBytes);
  }
  if (readBytes < lengthBytes) throw invalidArgument(`only ${readBytes} of ${lengthBytes} bytes came`);
}
