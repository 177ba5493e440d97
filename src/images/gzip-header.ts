// Room: images. Owns the header of a gzip member (RFC 1952, section 2.3).
import { crc32 } from "node:zlib";
import { invalidArgument } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";

export const gzipMagic = [0x1f, 0x8b] as const;
const deflate = 8;
const fixedBytes = 10;
const flags = { headerChecksum: 0x02, extra: 0x04, name: 0x08, comment: 0x10, reserved: 0xe0 } as const;
/** A name and a comment have no limit of their own; programs write a few bytes. */
const maxHeaderBytes = 256 * 1024;

/** Whether a gzip member can begin with these bytes, of which there may be too few to be sure. */
export const isGzip = (bytes: Uint8Array): boolean =>
  gzipMagic.every((byte, at) => at >= bytes.length || bytes[at] === byte);

/**
 * The length of the header that `bytes` begin with; undefined if it goes on behind them. Throws invalid_argument for one
 * that zlib refuses as well, and for one of more than 256 KiB.
 */
export function gzipHeaderBytes(bytes: Uint8Array): number | undefined {
  if (!isGzip(bytes)) throw damaged("it does not start as one");
  if (bytes.length > 2 && bytes[2] !== deflate) throw damaged("unknown compression method");
  const given = bytes[3] ?? 0;
  if ((given & flags.reserved) !== 0) throw damaged("unknown header flags set");
  const lengthBytes =
    bytes.length < fixedBytes
      ? undefined
      : endOfFields(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), given);
  if ((lengthBytes ?? bytes.length) > maxHeaderBytes)
    throw damaged(`a header of more than ${formatSize(maxHeaderBytes)}`);
  return lengthBytes;
}

function endOfFields(bytes: Buffer, given: number): number | undefined {
  let end: number | undefined = fixedBytes;
  if ((given & flags.extra) !== 0) end = bytes.length < end + 2 ? undefined : end + 2 + bytes.readUInt16LE(end);
  for (const text of [flags.name, flags.comment]) {
    if (end !== undefined && (given & text) !== 0) end = behindZero(bytes, end);
  }
  if (end === undefined || (given & flags.headerChecksum) === 0) return within(bytes, end);
  if (bytes.length < end + 2) return undefined;
  if (bytes.readUInt16LE(end) !== (crc32(bytes.subarray(0, end)) & 0xffff)) throw damaged("header crc mismatch");
  return end + 2;
}

function behindZero(bytes: Buffer, from: number): number | undefined {
  const at = from > bytes.length ? -1 : bytes.indexOf(0, from);
  return at === -1 ? undefined : at + 1;
}

const within = (bytes: Buffer, end: number | undefined): number | undefined =>
  end === undefined || end > bytes.length ? undefined : end;

const damaged = (reason: string): Error => invalidArgument(`the gzip stream is damaged: ${reason}`);
