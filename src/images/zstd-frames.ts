// Room: images. Owns the frame structure of a zstd stream: what each frame asks for, and whether the last one ended.
import { invalidArgument } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";

/** 128 MiB, the limit of zstd itself by default (`zstd --long=27`): it bounds the memory. */
export const maxWindowLog = 27;
const maxWindowBytes = 2 ** maxWindowLog;
/** Of all skippable frames: zstd:chunked keeps its table of contents in one. A sparse file holds any number of them. */
const maxSkippedBytes = 256 * 2 ** 20;

type State =
  | { readonly at: "magic" | "skippableSize" | "descriptor" | "block" }
  | { readonly at: "header"; readonly form: HeaderForm }
  | { readonly at: "skip"; leftBytes: number; readonly next: "magic" | "block" };

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const fieldBytes = { magic: 4, skippableSize: 4, descriptor: 1, block: 3 } as const;
/** The fields of a frame's header after its descriptor, in order. */
interface HeaderForm {
  readonly windowBytes: number;
  readonly dictionaryBytes: number;
  readonly contentSizeBytes: number;
}
const lengthOf = ({ windowBytes, dictionaryBytes, contentSizeBytes }: HeaderForm): number =>
  windowBytes + dictionaryBytes + contentSizeBytes;
const dictionaryIdBytes = [0, 1, 2, 4] as const;
const contentSizeBytes = [0, 2, 4, 8] as const;
const rleBlock = 1;
const reservedBlock = 3;

/**
 * RFC 8878, section 3.1. Follows the blocks of the frames without decompressing them. node:zlib on Bun ends a truncated
 * stream without an error, and ignores what follows the last frame: `push` every chunk here too, then `end`.
 * Errors: invalid_argument.
 */
export class ZstdFrames {
  #state: State = { at: "magic" };
  /** A header has 14 bytes at most. */
  readonly #field = Buffer.alloc(16);
  #fieldBytes = 0;
  #checksumBytes = 0;
  #frames = 0;
  #skippedBytes = 0;

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const state = this.#state;
      if (state.at === "skip") {
        const taken = Math.min(state.leftBytes, chunk.length - at);
        state.leftBytes -= taken;
        at += taken;
        if (state.leftBytes === 0) this.#state = { at: state.next };
        continue;
      }
      this.#field[this.#fieldBytes++] = chunk[at++] ?? 0;
      if (this.#fieldBytes < (state.at === "header" ? lengthOf(state.form) : fieldBytes[state.at])) continue;
      this.#field.fill(0, this.#fieldBytes);
      this.#fieldBytes = 0;
      this.#state =
        state.at === "header" ? this.#header(state.form) : this.#next(state.at, this.#field.readUInt32LE(0));
    }
  }

  end(): void {
    if (this.#state.at === "magic" && this.#fieldBytes === 0 && this.#frames > 0) return;
    throw invalidArgument("the zstd stream is truncated");
  }

  #next(field: keyof typeof fieldBytes, value: number): State {
    switch (field) {
      case "magic":
        if (value === frameMagic) return { at: "descriptor" };
        if ((value & 0xfffffff0) >>> 0 === skippableMagic) return { at: "skippableSize" };
        throw invalidArgument(this.#frames === 0 ? "it is not a zstd stream" : "garbage follows the zstd stream");
      case "skippableSize":
        this.#skippedBytes += value;
        if (this.#skippedBytes > maxSkippedBytes)
          throw invalidArgument(`the zstd stream has more than ${formatSize(maxSkippedBytes)} in frames to be skipped`);
        return skip(value, "magic");
      case "descriptor":
        return this.#descriptor(value);
      case "block":
        return this.#block(value);
    }
  }

  #descriptor(descriptor: number): State {
    const singleSegment = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    this.#checksumBytes = (descriptor & 0x04) === 0 ? 0 : 4;
    const form: HeaderForm = {
      windowBytes: singleSegment ? 0 : 1,
      dictionaryBytes: dictionaryIdBytes[descriptor & 0x03] ?? 0,
      contentSizeBytes: sizeFlag === 0 && singleSegment ? 1 : (contentSizeBytes[sizeFlag] ?? 0),
    };
    // Never empty: a frame without a window has a content size.
    return { at: "header", form };
  }

  #header({ windowBytes, dictionaryBytes, contentSizeBytes }: HeaderForm): State {
    const dictionary = dictionaryBytes === 0 ? 0 : this.#field.readUIntLE(windowBytes, dictionaryBytes);
    if (dictionary !== 0) throw invalidArgument("the zstd stream needs a dictionary, which an image does not contain");
    const needed =
      windowBytes === 0
        ? contentSize(this.#field.subarray(dictionaryBytes, dictionaryBytes + contentSizeBytes))
        : windowSize(this.#field.readUInt8(0));
    if (needed > maxWindowBytes) {
      throw invalidArgument(
        `the zstd stream needs a window of ${formatSize(needed)}; the limit is ${formatSize(maxWindowBytes)}: ` +
          `compress it again (zstd --long=${maxWindowLog} at most)`,
      );
    }
    return { at: "block" };
  }

  #block(header: number): State {
    const type = (header >> 1) & 0x03;
    if (type === reservedBlock) throw invalidArgument("the zstd stream is damaged: a block of a reserved type");
    const storedBytes = type === rleBlock ? 1 : header >> 3;
    const isLast = (header & 1) === 1;
    if (!isLast) return skip(storedBytes, "block");
    this.#frames++;
    return skip(storedBytes + this.#checksumBytes, "magic");
  }
}

const skip = (leftBytes: number, next: "magic" | "block"): State =>
  leftBytes === 0 ? { at: next } : { at: "skip", leftBytes, next };

/** Section 3.1.1.1.2. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 0x07);
}

/** Section 3.1.1.1.4: a size of two bytes starts at 256. Without a window descriptor, the window is the whole content. */
const contentSize = (field: Buffer): number =>
  field.length === 8
    ? Number(field.readBigUInt64LE(0))
    : field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
