// Room: test. Owns a simple tar writer: test entries to bytes, the same bytes every time.
import {
  type Attributes,
  type Bytes,
  bytesOf,
  defaultMtimeNs,
  type Entry,
  type Extent,
  type NodeEntry,
} from "./tar-entries.ts";

const blockBytes = 512;
const nameFieldBytes = 100;

/** The header fields that differ between entries. */
export interface HeaderFields {
  readonly name: Uint8Array;
  readonly typeflag: string;
  readonly sizeBytes?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtimeSeconds?: bigint;
  readonly linkName?: Uint8Array;
  readonly device?: { readonly major: number; readonly minor: number };
}

const zeroes = (lengthBytes: number): Buffer => Buffer.alloc(lengthBytes);
export const paddingOf = (lengthBytes: number): Buffer =>
  zeroes((blockBytes - (lengthBytes % blockBytes)) % blockBytes);

/** A number as octal digits with a NUL behind; in GNU's binary form where it does not fit. */
function putNumber(block: Buffer, at: number, widthBytes: number, value: bigint): void {
  const octal = value.toString(8);
  if (value >= 0n && octal.length < widthBytes) {
    block.write(octal.padStart(widthBytes - 1, "0"), at, "latin1");
    return;
  }
  let rest = BigInt.asUintN(64, value);
  block.fill(value < 0n ? 0xff : 0, at, at + widthBytes);
  for (let index = at + widthBytes - 1; index > at && rest > 0n; index -= 1) {
    block[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  block[at] = value < 0n ? 0xff : 0x80;
}

/** The checksum field, computed as if it held spaces. Call it again after changing a header by hand. */
export function putChecksum(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block.subarray(0, blockBytes)) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** One header block. Names longer than their field are cut off. */
export function header(fields: HeaderFields): Buffer {
  const block = zeroes(blockBytes);
  block.set(fields.name.subarray(0, nameFieldBytes), 0);
  putNumber(block, 100, 8, BigInt(fields.mode ?? 0o644));
  putNumber(block, 108, 8, BigInt(fields.uid ?? 0));
  putNumber(block, 116, 8, BigInt(fields.gid ?? 0));
  putNumber(block, 124, 12, BigInt(fields.sizeBytes ?? 0));
  putNumber(block, 136, 12, fields.mtimeSeconds ?? defaultMtimeNs / 1_000_000_000n);
  block.write(fields.typeflag, 156, "latin1");
  block.set((fields.linkName ?? zeroes(0)).subarray(0, nameFieldBytes), 157);
  block.write("ustar\x0000", 257, "latin1");
  putNumber(block, 329, 8, BigInt(fields.device?.major ?? 0));
  putNumber(block, 337, 8, BigInt(fields.device?.minor ?? 0));
  return putChecksum(block);
}

function paxRecord(keyword: string, value: Bytes): Buffer {
  const body = Buffer.concat([bytesOf(` ${keyword}=`), bytesOf(value), bytesOf("\n")]);
  let lengthBytes = body.length;
  while (String(lengthBytes).length + body.length !== lengthBytes)
    lengthBytes = String(lengthBytes).length + body.length;
  return Buffer.concat([bytesOf(String(lengthBytes)), body]);
}

/** An extended header: typeflag "x" is for the next entry, "g" for all that follow. */
export function paxHeader(typeflag: "x" | "g", records: readonly (readonly [string, Bytes])[]): Buffer {
  const body = Buffer.concat(records.map(([keyword, value]) => paxRecord(keyword, value)));
  const name = bytesOf("PaxHeaders/0");
  return Buffer.concat([header({ name, typeflag, sizeBytes: body.length }), body, paddingOf(body.length)]);
}

function gnuLong(typeflag: "L" | "K", name: Uint8Array): Buffer {
  const sizeBytes = name.length + 1;
  const block = header({ name: bytesOf("././@LongLink"), typeflag, sizeBytes });
  return Buffer.concat([block, name, zeroes(1), paddingOf(sizeBytes)]);
}

/** A time as PAX writes it: -1.5 is one and a half seconds before 1970. */
function paxTime(ns: bigint): string {
  const sign = ns < 0n ? "-" : "";
  const magnitude = ns < 0n ? -ns : ns;
  const fraction = (magnitude % 1_000_000_000n).toString().padStart(9, "0");
  return `${sign}${magnitude / 1_000_000_000n}.${fraction}`;
}

interface Body {
  readonly typeflag: string;
  readonly data: readonly Uint8Array[];
  readonly records?: readonly (readonly [string, Bytes])[];
  /** The name in the header, where the real one is in a record. */
  readonly headerName?: Buffer;
  /** Changes the finished header: GNU's sparse map lies in it. */
  readonly patch?: (block: Buffer) => Buffer;
  readonly target?: Buffer;
  readonly device?: { readonly major: number; readonly minor: number };
}

type SparseEntry = Extract<NodeEntry, { kind: "sparse" }>;

/** The extents, with an empty one at the end where the file ends in a hole: that is how tar remembers its size. */
function closedExtents(entry: SparseEntry): readonly Extent[] {
  const last = entry.extents.at(-1);
  if (last !== undefined && last.offsetBytes + last.content.length === entry.sizeBytes) return entry.extents;
  return [...entry.extents, { offsetBytes: entry.sizeBytes, content: zeroes(0) }];
}

/** Old GNU form: four extents in the header itself, 21 in each block behind it. */
function gnuSparse(entry: SparseEntry): Body {
  const extents = closedExtents(entry);
  const put = (block: Buffer, at: number, part: readonly Extent[]) => {
    for (const [index, extent] of part.entries()) {
      putNumber(block, at + index * 24, 12, BigInt(extent.offsetBytes));
      putNumber(block, at + index * 24 + 12, 12, BigInt(extent.content.length));
    }
  };
  const further: Buffer[] = [];
  for (let from = 4; from < extents.length; from += 21) {
    const block = zeroes(blockBytes);
    put(block, 0, extents.slice(from, from + 21));
    block[504] = extents.length > from + 21 ? 1 : 0;
    further.push(block);
  }
  const patch = (block: Buffer): Buffer => {
    block.write("ustar  \0", 257, "latin1");
    block.fill(0, 345, 500);
    put(block, 386, extents.slice(0, 4));
    block[482] = further.length > 0 ? 1 : 0;
    putNumber(block, 483, 12, BigInt(entry.sizeBytes));
    return Buffer.concat([putChecksum(block), ...further]);
  };
  return { typeflag: "S", data: entry.extents.map((extent) => extent.content), patch };
}

function paxSparse(entry: SparseEntry): Body {
  const data = entry.extents.map((extent) => extent.content);
  const pairs = closedExtents(entry).map((extent) => [extent.offsetBytes, extent.content.length] as const);
  const size = String(entry.sizeBytes);
  const headerName = bytesOf("GNUSparseFile.0/file");
  switch (entry.form) {
    case "gnu":
      return gnuSparse(entry);
    case "pax-0.0": {
      const numbers = pairs.flatMap(([offset, length]) => [
        ["GNU.sparse.offset", String(offset)] as const,
        ["GNU.sparse.numbytes", String(length)] as const,
      ]);
      const records = [["GNU.sparse.size", size] as const, ["GNU.sparse.numblocks", String(pairs.length)] as const];
      return { typeflag: "0", data, records: [...records, ...numbers] };
    }
    case "pax-0.1": {
      const records = [
        ["GNU.sparse.size", size],
        ["GNU.sparse.numblocks", String(pairs.length)],
        ["GNU.sparse.map", pairs.flat().join(",")],
        ["GNU.sparse.name", entry.path],
      ] as const;
      return { typeflag: "0", data, records, headerName };
    }
    case "pax-1.0": {
      const map = bytesOf([pairs.length, ...pairs.flat()].map((number) => `${number}\n`).join(""));
      const records = [
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", entry.path],
        ["GNU.sparse.realsize", size],
      ] as const;
      return { typeflag: "0", data: [map, paddingOf(map.length), ...data], records, headerName };
    }
  }
}

function bodyOf(entry: NodeEntry): Body {
  switch (entry.kind) {
    case "file":
      return { typeflag: "0", data: [entry.content] };
    case "directory":
      return { typeflag: "5", data: [] };
    case "symlink":
      return { typeflag: "2", data: [], target: entry.target };
    case "hardlink":
      return { typeflag: "1", data: [], target: entry.target };
    case "character":
      return { typeflag: "3", data: [], device: entry };
    case "block":
      return { typeflag: "4", data: [], device: entry };
    case "fifo":
      return { typeflag: "6", data: [] };
    case "sparse":
      return paxSparse(entry);
  }
}

/** The records that an entry needs because the header has no room for what they say. */
function recordsOf(path: Buffer, body: Body, attributes: Attributes, mtimeNs: bigint): (readonly [string, Bytes])[] {
  const records: (readonly [string, Bytes])[] = [];
  const long = attributes.longNames ?? "pax";
  if (long === "pax" && body.headerName === undefined && path.length > nameFieldBytes) records.push(["path", path]);
  if (long === "pax" && body.target && body.target.length > nameFieldBytes) records.push(["linkpath", body.target]);
  if (mtimeNs % 1_000_000_000n !== 0n || mtimeNs < 0n) records.push(["mtime", paxTime(mtimeNs)]);
  for (const [name, value] of Object.entries(attributes.xattrs ?? {})) records.push([`SCHILY.xattr.${name}`, value]);
  return [...records, ...(body.records ?? []), ...Object.entries(attributes.pax ?? {})];
}

/** What stands before an entry's header: PAX records, or GNU's long names. */
function extendedHeaders(path: Buffer, body: Body, attributes: Attributes, mtimeNs: bigint): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  const records = recordsOf(path, body, attributes, mtimeNs);
  if (records.length > 0) chunks.push(paxHeader("x", records));
  if (attributes.longNames !== "gnu") return chunks;
  if (path.length > nameFieldBytes) chunks.push(gnuLong("L", path));
  if (body.target && body.target.length > nameFieldBytes) chunks.push(gnuLong("K", body.target));
  return chunks;
}

/** A directory's name ends in a slash. */
function storedPath({ kind, path }: NodeEntry): Buffer {
  return kind === "directory" && path.at(-1) !== 0x2f ? Buffer.concat([path, bytesOf("/")]) : path;
}

function nodeChunks(entry: NodeEntry): Uint8Array[] {
  const { mode, uid = 0, gid = 0, mtimeNs = defaultMtimeNs } = entry.attributes;
  const body = bodyOf(entry);
  const path = storedPath(entry);
  const sizeBytes = body.data.reduce((sum, part) => sum + part.length, 0);
  const block = header({
    name: body.headerName ?? path,
    typeflag: body.typeflag,
    sizeBytes,
    mode: mode ?? (entry.kind === "directory" ? 0o755 : 0o644),
    uid,
    gid,
    mtimeSeconds: mtimeNs < 0n ? 0n : mtimeNs / 1_000_000_000n,
    ...(body.target && { linkName: body.target }),
    ...(body.device && { device: body.device }),
  });
  const extended = extendedHeaders(path, body, entry.attributes, mtimeNs);
  return [...extended, body.patch ? body.patch(block) : block, ...body.data, paddingOf(sizeBytes)];
}

/** A tar of `entries`. `endMarker: false` leaves out the two blocks of zeroes that should end it. */
export function tar(entries: readonly Entry[], options: { readonly endMarker?: boolean } = {}): Buffer {
  const chunks: Uint8Array[] = [];
  for (const entry of entries) {
    switch (entry.kind) {
      case "raw":
        chunks.push(entry.bytes);
        break;
      case "global-pax":
        chunks.push(paxHeader("g", Object.entries(entry.records)));
        break;
      case "file":
      case "directory":
      case "symlink":
      case "hardlink":
      case "character":
      case "block":
      case "fifo":
      case "sparse":
        chunks.push(...nodeChunks(entry));
        break;
    }
  }
  if (options.endMarker !== false) chunks.push(zeroes(2 * blockBytes));
  return Buffer.concat(chunks);
}
