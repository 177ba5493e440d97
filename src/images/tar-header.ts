// Room: images. Owns the little of tar headers that finding an archive's members takes: names, sizes, links.
import { failedPrecondition } from "../domain/errors.ts";

export const tarBlockBytes = 512;

/**
 * What may follow a tar's end. Tape programs fill up a record, of 10 KiB by default and 1 MiB at most in practice; but a
 * few MB of zstd hold hours of zeroes.
 */
export const maxPaddingBytes = 16 << 20;

/** The bytes that a member's content takes in the tar: full blocks. */
export const paddedBytes = (sizeBytes: number): number => Math.ceil(sizeBytes / tarBlockBytes) * tarBlockBytes;

/** One header block as it stands: extended headers before it may override all of it. */
export interface TarHeader {
  /** With ustar's prefix in front; bytes, since a name need not be UTF-8. */
  readonly name: Buffer;
  /** "0" for a regular file, also where old tars write a NUL. */
  readonly typeflag: string;
  readonly sizeBytes: number;
  readonly linkName: Buffer;
}

/** The bytes of `field` before its first NUL. A view, not a copy. */
function textField(block: Buffer, from: number, lengthBytes: number): Buffer {
  const field = block.subarray(from, from + lengthBytes);
  const end = field.indexOf(0);
  return end === -1 ? field : field.subarray(0, end);
}

/** GNU's binary numbers: the highest bit is a mark, the next one the sign, big-endian two's complement. */
function binaryNumber(block: Buffer, from: number, lengthBytes: number): number {
  const first = block[from] ?? 0;
  let value = BigInt.asIntN(7, BigInt(first & 0x7f));
  for (let at = from + 1; at < from + lengthBytes; at += 1) value = value * 256n + BigInt(block[at] ?? 0);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw failedPrecondition("a number in a tar header is too large");
  return number;
}

/** A numeric field: octal digits between spaces and NULs, or GNU's binary form. An empty field is 0. */
function tarNumber(block: Buffer, from: number, lengthBytes: number): number {
  if (((block[from] ?? 0) & 0x80) !== 0) return binaryNumber(block, from, lengthBytes);
  let at = from;
  const end = from + lengthBytes;
  while (at < end && block[at] === 0x20) at += 1;
  let value = 0;
  for (; at < end; at += 1) {
    const byte = block[at] ?? 0;
    if (byte === 0 || byte === 0x20) break;
    if (byte < 0x30 || byte > 0x37) throw failedPrecondition("a number in a tar header is not octal");
    value = value * 8 + byte - 0x30;
  }
  return value;
}

/** Whether the stored checksum is that of the block, with bytes taken as unsigned or (old tars) as signed. */
function hasChecksum(block: Buffer): boolean {
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < tarBlockBytes; at += 1) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stored = tarNumber(block, 148, 8);
  return stored === unsigned || stored === signed;
}

const isZero = (block: Buffer): boolean => block.every((byte) => byte === 0);

/**
 * The header in a block of 512 bytes; undefined for a block of zeroes, with which a tar ends. `name` and `linkName` are
 * views of `block`. Throws failed_precondition for what is no header. Layout: POSIX pax(1) and GNU tar's manual.
 */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  if (block[0] === 0 && isZero(block)) return undefined;
  if (!hasChecksum(block)) throw failedPrecondition("a tar header's checksum is wrong");
  const isUstar = block.toString("latin1", 257, 263) === "ustar\0";
  const name = textField(block, 0, 100);
  const prefix = isUstar ? textField(block, 345, 155) : undefined;
  const flag = block[156] ?? 0;
  const sizeBytes = tarNumber(block, 124, 12);
  if (sizeBytes < 0) throw failedPrecondition("a size in a tar header is negative");
  return {
    name: prefix && prefix.length > 0 ? Buffer.concat([prefix, Buffer.from("/"), name]) : name,
    typeflag: flag === 0 ? "0" : String.fromCharCode(flag),
    sizeBytes,
    linkName: textField(block, 157, 100),
  };
}

/**
 * The records of a PAX extended header, in order: a keyword may come more than once (GNU.sparse.offset). Values are views
 * of `body`; they may hold any byte. Throws failed_precondition when the body is not made of records.
 */
export function parsePaxRecords(body: Buffer): (readonly [keyword: string, value: Buffer])[] {
  const records: (readonly [string, Buffer])[] = [];
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const space = body.indexOf(0x20, at);
    const digits = space === -1 ? "" : body.toString("latin1", at, Math.min(space, at + 12));
    const end = at + (/^\d+$/.test(digits) ? Number(digits) : 0);
    const equals = body.indexOf(0x3d, space + 1);
    if (end <= space || end > body.length || body[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw failedPrecondition("a PAX header in the tar is malformed");
    }
    records.push([body.toString("utf8", space + 1, equals), body.subarray(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}
