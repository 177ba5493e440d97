// Room: system. Owns reading block devices past the page cache, which does not see what the kernel itself writes below.
import { ptr } from "bun:ffi";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { internal } from "../domain/errors.ts";

/** O_DIRECT wants memory, offset and length to be multiples of the device's block size: none is larger than this. */
const alignmentBytes = 4096;

/** Memory that O_DIRECT can read into. */
function alignedBuffer(lengthBytes: number): Buffer {
  const memory = Buffer.alloc(lengthBytes + alignmentBytes);
  const start = (alignmentBytes - (Number(ptr(memory)) % alignmentBytes)) % alignmentBytes;
  return memory.subarray(start, start + lengthBytes);
}

const flags = constants.O_RDONLY | constants.O_DIRECT;

export const openDirect = (path: string): Promise<FileHandle> => open(path, flags);

/** Offset and length are multiples of 4096. */
export async function readDirect(handle: FileHandle, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
  const buffer = alignedBuffer(lengthBytes);
  const { bytesRead } = await handle.read(buffer, 0, lengthBytes, offsetBytes);
  return whole(buffer, bytesRead, offsetBytes);
}

/** The same, for who must not give way meanwhile. */
export function readDirectSync(path: string, offsetBytes: number, lengthBytes: number): Buffer {
  const buffer = alignedBuffer(lengthBytes);
  const descriptor = openSync(path, flags);
  try {
    return whole(buffer, readSync(descriptor, buffer, 0, lengthBytes, offsetBytes), offsetBytes);
  } finally {
    closeSync(descriptor);
  }
}

function whole(buffer: Buffer, bytesRead: number, offsetBytes: number): Buffer {
  if (bytesRead === buffer.length) return buffer;
  throw internal(`a device ended after ${bytesRead} of the ${buffer.length} bytes that were wanted at ${offsetBytes}`);
}
