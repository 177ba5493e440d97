// Room: system. Owns names as the kernel has them: bytes in any encoding, kept exactly.
import { type Pointer, ptr } from "bun:ffi";
import { visible } from "../../domain/quoted.ts";

declare const brand: unique symbol;
/**
 * Bytes as a string: each character stands for one byte (latin1). Names split, compare and serve as map keys like any
 * string, take a byte each in memory, and are written to the kernel without loss.
 */
export type ByteString = string & { readonly [brand]: "ByteString" };

/** PATH_MAX of Linux: what a system call takes, with the NUL at its end. */
export const maxPathBytes = 4096;

/** What Buffer's toString("latin1", ...) does, for any Uint8Array: a tar's headers need no Buffer each. */
const latin1Of = Reflect.get(Buffer.prototype, "latin1Slice") as (this: Uint8Array, from: number, to: number) => string;

export const byteString = (bytes: Uint8Array, start = 0, end = bytes.length): ByteString =>
  latin1Of.call(bytes, start, end) as ByteString;

/** The bytes of a text in UTF-8. */
export const bytesOfText = (text: string): ByteString => byteString(Buffer.from(text));

export const bytesOf = (name: ByteString): Buffer => Buffer.from(name, "latin1");

export const sliceBytes = (name: ByteString, start: number, end?: number): ByteString =>
  name.slice(start, end) as ByteString;

export const joinBytes = (directory: ByteString, name: ByteString): ByteString =>
  (directory === "" ? name : `${directory}/${name}`) as ByteString;

/** For people: quoted, as UTF-8 where it is, without what a terminal acts on, shortened where it is long. */
export function display(name: ByteString): string {
  const shown = name.length <= 2000 ? name : name.slice(0, 1000) + name.slice(-1000);
  const text = visible(JSON.stringify(Buffer.from(shown, "latin1").toString("utf8")));
  return text.length <= 300 ? text : `${text.slice(0, 200)}…${text.slice(-60)}`;
}

/**
 * Memory for calls whose address is taken once. It must not move: the engine moves a small typed array out of its heap
 * at some later use, but never memory that was made as an ArrayBuffer.
 */
export const fixedMemory = (lengthBytes: number): Buffer<ArrayBuffer> => Buffer.from(new ArrayBuffer(lengthBytes));

/** Room for one path, used again for every call: a call's path needs no memory of its own. */
export class PathSlot {
  readonly #buffer = fixedMemory(maxPathBytes + 64);
  readonly #address = ptr(this.#buffer);

  /** The address of `path`, NUL-terminated, until the next use of this slot; undefined when a path cannot be so long. */
  put(path: ByteString): Pointer | undefined {
    if (path.length >= maxPathBytes) return undefined;
    const length = this.#buffer.write(path, 0, "latin1");
    this.#buffer[length] = 0;
    return this.#address;
  }
}
