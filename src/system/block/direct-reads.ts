// Room: system. Owns reading block devices past the page cache, which misses what the kernel's own drivers write.
import { ptr } from "bun:ffi";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { internal } from "../../domain/errors.ts";

/** O_DIRECT needs memory, offset and length to be multiples of the device's block size, which is at most this. */
const alignmentBytes = 4096;

/** Memory that O_DIRECT can read into. */
function alignedBuffer(lengthBytes: number): Buffer {
  const memory = Buffer.alloc(lengthBytes + alignmentBytes);
  const start = (alignmentBytes - (Number(ptr(memory)) % alignmentBytes)) % alignmentBytes;
  return memory.subarray(start, start + lengthBytes);
}

/** Reads from a device, open until it is disposed of. A read blocks the thread, so it is for a few blocks at a time. */
export class DirectReader implements Disposable {
  readonly #descriptor: number;

  constructor(path: string) {
    this.#descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECT);
  }

  /** Offset and length are multiples of 4096. */
  read(offsetBytes: number, lengthBytes: number): Buffer {
    const buffer = alignedBuffer(lengthBytes);
    const readBytes = readSync(this.#descriptor, buffer, 0, lengthBytes, offsetBytes);
    if (readBytes === lengthBytes) return buffer;
    throw internal(`a device ended after ${readBytes} of the ${lengthBytes} bytes that were wanted at ${offsetBytes}`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
