// Room: tar. Owns the maps of sparse files, in GNU tar's four formats: which parts of a file an archive stores.
import { invalidArgument } from "../domain/errors.ts";
import { parseDecimal, parseNumber } from "./numbers.ts";

/** A part of a file that has data; between the parts are holes. */
export interface Segment {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** All of them are held in memory. GNU tar makes one for each part of a file that has data. */
export const maxSegments = 100_000;

const entryBytes = 24;

/** The old format: 4 parts in the header, 21 in each further block. `more`: such a block follows. */
export function parseOldSparseBlock(
  block: Uint8Array,
  where: "header" | "extension",
  segments: Segment[],
): { readonly more: boolean } {
  const [start, count, flagAt] = where === "header" ? [386, 4, 482] : [0, 21, 504];
  for (let index = 0; index < count; index++) {
    const at = start + index * entryBytes;
    if (block[at] === 0 || block[at + 12] === 0) break;
    const offsetBytes = parseNumber(block, at, 12, "sparse map");
    segments.push({ offsetBytes, lengthBytes: parseNumber(block, at + 12, 12, "sparse map") });
  }
  if (segments.length > maxSegments) throw tooManySegments();
  return { more: block[flagAt] !== 0 };
}

/** A sparse file's true size in the old format. */
export const parseOldSparseSize = (block: Uint8Array): number => parseNumber(block, 483, 12, "sparse size");

/** Formats 0.0 and 0.1: "offset,length,offset,length,...". */
export function parseSparseList(text: string): Segment[] {
  const numbers = text === "" ? [] : text.split(",", 2 * maxSegments + 1);
  if (numbers.length > 2 * maxSegments) throw tooManySegments();
  if (numbers.length % 2 !== 0) throw invalidArgument("its sparse map ends half-way");
  const segments: Segment[] = [];
  for (let index = 0; index < numbers.length; index += 2) {
    const [offset = "", length = ""] = numbers.slice(index, index + 2);
    segments.push({
      offsetBytes: parseDecimal(offset, "sparse offset"),
      lengthBytes: parseDecimal(length, "sparse length"),
    });
  }
  return segments;
}

/** Format 1.0: the map precedes the data, as lines of decimal numbers, the count first, padded to whole blocks. */
export class SparseMapReader {
  readonly #numbers: number[] = [];
  #line = "";

  /** Takes the next block; returns the parts once the map is complete. */
  push(block: Uint8Array): Segment[] | undefined {
    for (const byte of block) {
      if (byte !== 0x0a) {
        this.#line += String.fromCharCode(byte);
        if (this.#line.length > 20) throw invalidArgument("its sparse map is malformed");
        continue;
      }
      this.#numbers.push(parseDecimal(this.#line, "sparse map"));
      this.#line = "";
      const parts = this.#complete();
      if (parts !== undefined) return parts;
    }
    return undefined;
  }

  #complete(): Segment[] | undefined {
    const count = this.#numbers[0] ?? 0;
    if (count > maxSegments) throw tooManySegments();
    if (this.#numbers.length < 1 + 2 * count) return undefined;
    return Array.from({ length: count }, (_, index) => ({
      offsetBytes: this.#numbers[1 + 2 * index] ?? 0,
      lengthBytes: this.#numbers[2 + 2 * index] ?? 0,
    }));
  }
}

/** Throws unless the parts are in order, disjoint, inside the file, and `storedBytes` long in total. */
export function checkSegments(segments: readonly Segment[], sizeBytes: number, storedBytes: number): void {
  let end = 0;
  let sum = 0;
  for (const { offsetBytes, lengthBytes } of segments) {
    if (offsetBytes < end || lengthBytes < 0 || offsetBytes + lengthBytes > sizeBytes) {
      throw invalidArgument("its sparse map is not in order or exceeds the file");
    }
    end = offsetBytes + lengthBytes;
    sum += lengthBytes;
  }
  if (sum !== storedBytes)
    throw invalidArgument(`its sparse map covers ${sum} bytes, the archive stores ${storedBytes}`);
}

export const tooManySegments = () => invalidArgument(`its sparse map has more than ${maxSegments} parts`);
