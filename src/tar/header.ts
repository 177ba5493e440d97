// Room: tar. Owns the 512-byte header block of a tar archive: v7, ustar, GNU and star.
import { invalidArgument } from "../domain/errors.ts";
import { type ByteString, byteString, joinBytes } from "../system/tree/bytes.ts";
import type { FileTime } from "../system/tree/metadata.ts";
import { blockBytes } from "./blocks.ts";
import { parseNumber } from "./numbers.ts";

/** What one header block says by itself, before PAX records and GNU long names: enough to find an entry's content. */
export interface MemberHeader {
  /** One character: "0" file, "5" directory, "x" PAX header, ...; NUL in archives before POSIX. */
  readonly typeFlag: string;
  readonly name: ByteString;
  readonly linkName: ByteString;
  readonly sizeBytes: number;
}

/** All of a header block. */
export interface Header extends MemberHeader {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: FileTime;
  readonly atime: FileTime | undefined;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

// Field offsets: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar's manual, "Basic Tar Format"; star(5).
const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  linkName: [157, 100],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
  prefix: [345, 155],
  starPrefix: [345, 131],
  atime: [345, 12],
} as const satisfies Record<string, readonly [number, number]>;

type Dialect = "v7" | "ustar" | "gnu" | "star";

/** An archive's members are found by this. Throws invalid_argument for a block that is no header, or a damaged one. */
export function parseMemberHeader(block: Uint8Array): MemberHeader {
  verifyChecksum(block);
  return {
    typeFlag: typeFlagOf(block),
    name: nameAndAtime(block).name,
    linkName: textField(block, ...fields.linkName),
    sizeBytes: sizeOf(block),
  };
}

/** Throws invalid_argument for a block that is no header, or a damaged one. */
export function parseHeader(block: Uint8Array): Header {
  verifyChecksum(block);
  const number = (field: "mode" | "uid" | "gid" | "mtime" | "deviceMajor" | "deviceMinor") => {
    const [at, length] = fields[field];
    return parseNumber(block, at, length, field);
  };
  const typeFlag = typeFlagOf(block);
  const isDevice = typeFlag === "3" || typeFlag === "4";
  const { name, atime } = nameAndAtime(block);
  const sizeBytes = sizeOf(block);
  return {
    typeFlag,
    name,
    linkName: textField(block, ...fields.linkName),
    mode: number("mode"),
    uid: number("uid"),
    gid: number("gid"),
    sizeBytes,
    mtime: { seconds: number("mtime"), nanoseconds: 0 },
    atime,
    deviceMajor: isDevice ? number("deviceMajor") : 0,
    deviceMinor: isDevice ? number("deviceMinor") : 0,
  };
}

const typeFlagOf = (block: Uint8Array): string => String.fromCharCode(block[156] ?? 0);

function sizeOf(block: Uint8Array): number {
  const sizeBytes = parseNumber(block, fields.size[0], fields.size[1], "size");
  if (sizeBytes < 0) throw invalidArgument("the size in its header is negative");
  return sizeBytes;
}

/** The sum over all bytes, the field itself taken as spaces. Some old programs summed signed characters. */
function verifyChecksum(block: Uint8Array): void {
  const [fieldAt, fieldLength] = fields.checksum;
  let unsigned = 0;
  let high = 0;
  for (let at = 0; at < blockBytes; at++) {
    const byte = block[at] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  for (let at = fieldAt; at < fieldAt + fieldLength; at++) {
    const byte = block[at] ?? 0;
    unsigned += 0x20 - byte;
    high -= byte >> 7;
  }
  const stored = storedChecksum(block);
  if (stored !== unsigned && stored !== unsigned - 256 * high) {
    throw invalidArgument("not a tar header: its checksum is wrong");
  }
}

function storedChecksum(block: Uint8Array): number | undefined {
  try {
    return parseNumber(block, ...fields.checksum, "checksum");
  } catch {
    return undefined;
  }
}

function nameAndAtime(block: Uint8Array): Pick<Header, "name" | "atime"> {
  const name = textField(block, ...fields.name);
  const dialect = dialectOf(block);
  switch (dialect) {
    case "v7":
      return { name, atime: undefined };
    case "ustar":
      return { name: prefixed(block, fields.prefix, name), atime: undefined };
    case "star":
      return { name: prefixed(block, fields.starPrefix, name), atime: undefined };
    case "gnu":
      return gnuNameAndAtime(block, name);
  }
}

/** GNU has times where POSIX has the prefix; Go's archive/tar before 1.8 wrote the prefix there nevertheless. */
function gnuNameAndAtime(block: Uint8Array, name: ByteString): Pick<Header, "name" | "atime"> {
  if (block[fields.atime[0]] === 0) return { name, atime: undefined };
  try {
    return { name, atime: { seconds: parseNumber(block, ...fields.atime, "atime"), nanoseconds: 0 } };
  } catch {
    return { name: prefixed(block, fields.prefix, name), atime: undefined };
  }
}

function prefixed(block: Uint8Array, field: readonly [number, number], name: ByteString): ByteString {
  const prefix = textField(block, ...field);
  return prefix === "" ? name : joinBytes(prefix, name);
}

function dialectOf(block: Uint8Array): Dialect {
  const magic = byteString(block, 257, 265);
  if (magic === "ustar  \0") return "gnu";
  if (!magic.startsWith("ustar\0")) return "v7";
  return byteString(block, 508, 512) === "tar\0" ? "star" : "ustar";
}

/** Up to the first NUL. */
function textField(block: Uint8Array, at: number, length: number): ByteString {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return byteString(block, at, end);
}
