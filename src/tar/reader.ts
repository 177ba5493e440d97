// Room: tar. Owns the parsing of a tar stream: which bytes are headers, content and padding.
import { invalidArgument, isSnapmillError } from "../domain/errors.ts";
import { type ByteString, display } from "../system/tree/bytes.ts";
import { blockBytes, isZeroBlock, paddingOf } from "./blocks.ts";
import { type Content, contentOf } from "./content.ts";
import { composeEntry, type TarEntry } from "./entry.ts";
import { type Header, parseHeader } from "./header.ts";
import {
  emptyPreamble,
  GlobalRecords,
  isExtendedHeader,
  isPending,
  nameOf,
  type Preamble,
  withExtendedHeader,
} from "./preamble.ts";
import { checkSegments, parseOldSparseBlock, type Segment, SparseMapReader } from "./sparse.ts";

/** Called for each entry: `begin`, for a file `data` as it arrives, `finish`. What it throws ends the reading. */
export interface TarVisitor {
  begin(entry: TarEntry): void;
  /** The bytes `start` to `end` of `chunk` belong at `offsetBytes` of the file. `chunk` is valid only during the call. */
  data(chunk: Uint8Array, start: number, end: number, offsetBytes: number): void;
  finish(): void;
}

/** Long names and PAX records are held in memory. No file system accepts a name or a target of 64 KiB. */
const maxMetadataBytes: Readonly<Record<string, number>> = { x: 4 * 2 ** 20, g: 2 ** 20, L: 2 ** 16, K: 2 ** 16 };

type Sparse = Extract<Content, { kind: "sparse" }>;

type State =
  | { readonly at: "header"; readonly afterZeroBlock: boolean }
  | { readonly at: "metadata"; readonly typeFlag: string; readonly payload: Buffer; filledBytes: number }
  | { readonly at: "sparseExtension"; readonly header: Header; readonly content: Sparse }
  | {
      readonly at: "sparseMap";
      readonly header: Header;
      readonly content: Sparse;
      readonly map: SparseMapReader;
      leftBytes: number;
    }
  | { readonly at: "data"; readonly segments: readonly Segment[]; index: number; doneBytes: number; padding: number }
  | { readonly at: "padding"; leftBytes: number }
  | { readonly at: "end" };

/**
 * Reads a tar that arrives in chunks of any size: `push` each, then `end`. Everything happens inside these two calls, so
 * the caller waits for the visitor, and memory does not grow with the archive.
 * Errors: invalid_argument, with the place in the archive and the entry.
 */
export class TarReader {
  readonly #visitor: TarVisitor;
  readonly #partial = Buffer.alloc(blockBytes);
  #partialBytes = 0;
  #positionBytes = 0;
  /** How much of the current block or extended header was in earlier chunks. */
  #earlierBytes = 0;
  #state: State = { at: "header", afterZeroBlock: false };
  #preamble: Preamble = emptyPreamble(new GlobalRecords());
  #current: ByteString | undefined;
  #behindBytes = 0;
  #extendedBytes = 0;

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor;
  }

  /** The length of all extended headers so far. */
  get extendedBytes(): number {
    return this.#extendedBytes;
  }

  /** How many bytes have followed the end marker: padding, which is ignored. */
  get behindBytes(): number {
    return this.#behindBytes;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const taken = this.#step(chunk, at);
      at += taken;
      this.#positionBytes += taken;
      this.#earlierBytes = 0;
    }
  }

  /** Call it at the end of the stream. Only the end marker, and the padding before it, may be missing. */
  end(): void {
    const state = this.#state;
    const between = state.at === "padding" || (state.at === "header" && this.#partialBytes === 0);
    if (state.at === "end" || (between && !isPending(this.#preamble))) return;
    throw this.#fault(invalidArgument("it is truncated: the tar ends in the middle of an entry"));
  }

  /** Consumes bytes of `chunk` from `at` on; returns how many. */
  #step(chunk: Uint8Array, at: number): number {
    const state = this.#state;
    const available = chunk.length - at;
    switch (state.at) {
      case "data":
        return this.#data(state, chunk, at);
      case "header":
      case "sparseExtension":
      case "sparseMap":
        return this.#gatherBlock(chunk, at);
      case "metadata": {
        const taken = Math.min(available, state.payload.length - state.filledBytes);
        state.payload.set(chunk.subarray(at, at + taken), state.filledBytes);
        this.#earlierBytes = state.filledBytes;
        state.filledBytes += taken;
        if (state.filledBytes === state.payload.length)
          this.#parsing(() => this.#metadata(state.typeFlag, state.payload));
        return taken;
      }
      case "padding": {
        const taken = Math.min(available, state.leftBytes);
        state.leftBytes -= taken;
        if (state.leftBytes === 0) this.#state = { at: "header", afterZeroBlock: false };
        return taken;
      }
      case "end":
        this.#behindBytes += available;
        return available;
    }
  }

  #gatherBlock(chunk: Uint8Array, at: number): number {
    this.#earlierBytes = this.#partialBytes;
    if (this.#partialBytes === 0 && chunk.length - at >= blockBytes) {
      this.#block(chunk.subarray(at, at + blockBytes));
      return blockBytes;
    }
    const taken = Math.min(chunk.length - at, blockBytes - this.#partialBytes);
    this.#partial.set(chunk.subarray(at, at + taken), this.#partialBytes);
    this.#partialBytes += taken;
    if (this.#partialBytes === blockBytes) {
      this.#partialBytes = 0;
      this.#block(this.#partial);
    }
    return taken;
  }

  #block(block: Uint8Array): void {
    const state = this.#state;
    if (state.at === "header") this.#headerBlock(block, state.afterZeroBlock);
    else if (state.at === "sparseExtension") this.#sparseExtension(state.header, state.content, block);
    else if (state.at === "sparseMap") this.#sparseMap(state, block);
  }

  #headerBlock(block: Uint8Array, afterZeroBlock: boolean): void {
    if (isZeroBlock(block)) {
      this.#state = afterZeroBlock ? { at: "end" } : { at: "header", afterZeroBlock: true };
      return;
    }
    this.#current = undefined;
    const header = this.#parsing(() => {
      if (afterZeroBlock) throw invalidArgument("an entry follows a block of zeroes, which is half an end marker");
      return parseHeader(block);
    });
    if (isExtendedHeader(header.typeFlag)) this.#parsing(() => this.#metadataHeader(header));
    else this.#entryHeader(header, block);
  }

  #metadataHeader({ typeFlag, sizeBytes }: Header): void {
    const maxBytes = maxMetadataBytes[typeFlag] ?? 0;
    if (sizeBytes > maxBytes) {
      throw invalidArgument(`an extended header (${typeFlag}) of ${sizeBytes} bytes is longer than ${maxBytes}`);
    }
    this.#extendedBytes += sizeBytes;
    if (sizeBytes === 0) this.#metadata(typeFlag, Buffer.alloc(0));
    else this.#state = { at: "metadata", typeFlag, payload: Buffer.allocUnsafeSlow(sizeBytes), filledBytes: 0 };
  }

  #metadata(typeFlag: string, payload: Buffer): void {
    this.#preamble = withExtendedHeader(this.#preamble, typeFlag, payload);
    this.#pad(paddingOf(payload.length));
  }

  #entryHeader(header: Header, block: Uint8Array): void {
    this.#current = nameOf(header, this.#preamble);
    const content = this.#parsing(() => contentOf(header, block, this.#preamble));
    if (content.kind === "plain") {
      const whole = { offsetBytes: 0, lengthBytes: content.storedBytes };
      this.#begin(header, content.storedBytes, [whole], content.storedBytes);
      return;
    }
    switch (content.mapIn) {
      case "header":
        this.#beginSparse(header, content, content.segments, content.storedBytes);
        return;
      case "extensions":
        this.#state = { at: "sparseExtension", header, content };
        return;
      case "content":
        this.#state = { at: "sparseMap", header, content, map: new SparseMapReader(), leftBytes: content.storedBytes };
    }
  }

  #sparseExtension(header: Header, content: Sparse, block: Uint8Array): void {
    const { more } = this.#parsing(() => parseOldSparseBlock(block, "extension", content.segments));
    if (!more) this.#beginSparse(header, content, content.segments, content.storedBytes);
  }

  #sparseMap(state: Extract<State, { at: "sparseMap" }>, block: Uint8Array): void {
    state.leftBytes -= blockBytes;
    const segments = this.#parsing(() => {
      if (state.leftBytes < 0) throw invalidArgument("its sparse map is longer than its content");
      return state.map.push(block);
    });
    if (segments !== undefined) this.#beginSparse(state.header, state.content, segments, state.leftBytes);
  }

  #beginSparse(header: Header, content: Sparse, segments: readonly Segment[], storedBytes: number): void {
    this.#parsing(() => checkSegments(segments, content.sizeBytes, storedBytes));
    this.#begin(header, content.sizeBytes, segments, storedBytes);
  }

  #begin(header: Header, sizeBytes: number, segments: readonly Segment[], storedBytes: number): void {
    const entry = this.#parsing(() => composeEntry(header, this.#preamble, sizeBytes));
    this.#preamble = emptyPreamble(this.#preamble.global);
    this.#visitor.begin(entry);
    const filled = segments.filter((segment) => segment.lengthBytes > 0);
    if (storedBytes > 0)
      this.#state = { at: "data", segments: filled, index: 0, doneBytes: 0, padding: paddingOf(storedBytes) };
    else this.#finish(0);
  }

  #data(state: Extract<State, { at: "data" }>, chunk: Uint8Array, at: number): number {
    const segment = state.segments[state.index];
    if (segment === undefined) {
      this.#finish(state.padding);
      return 0;
    }
    const taken = Math.min(chunk.length - at, segment.lengthBytes - state.doneBytes);
    if (taken > 0) this.#visitor.data(chunk, at, at + taken, segment.offsetBytes + state.doneBytes);
    state.doneBytes += taken;
    if (state.doneBytes === segment.lengthBytes) {
      state.index++;
      state.doneBytes = 0;
      if (state.index === state.segments.length) this.#finish(state.padding);
    }
    return taken;
  }

  #finish(padding: number): void {
    this.#visitor.finish();
    this.#pad(padding);
  }

  #pad(leftBytes: number): void {
    this.#state = leftBytes === 0 ? { at: "header", afterZeroBlock: false } : { at: "padding", leftBytes };
  }

  /** Runs a step that may reject the archive; adds the position to the error. */
  #parsing<Result>(step: () => Result): Result {
    try {
      return step();
    } catch (error) {
      throw isSnapmillError(error) ? this.#fault(error) : error;
    }
  }

  #fault(error: Error): Error {
    const entry = this.#current === undefined ? "" : `, entry ${display(this.#current)}`;
    return invalidArgument(`tar at byte ${this.#positionBytes - this.#earlierBytes}${entry}: ${error.message}`, error);
  }
}
