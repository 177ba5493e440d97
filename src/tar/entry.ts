// Room: tar. Owns what an entry of a tar archive is, put together from its header, PAX records and GNU long names.
import { invalidArgument } from "../domain/errors.ts";
import { type ByteString, display } from "../system/tree/bytes.ts";
import type { FileTime } from "../system/tree/metadata.ts";
import type { Header } from "./header.ts";
import { parseInteger, parsePaxTime } from "./numbers.ts";
import { type Xattrs, xattrsOf } from "./pax.ts";
import { linkNameOf, nameOf, type Preamble, recordOf } from "./preamble.ts";

interface Common {
  /** As in the archive: it may be absolute and contain "..", but is never empty and has no NUL. */
  readonly name: ByteString;
  /** The 12 bits of permissions, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: FileTime;
  readonly atime: FileTime | undefined;
  readonly xattrs: Xattrs;
}

export type TarEntry = Common &
  (
    | { readonly type: "file"; readonly sizeBytes: number }
    | { readonly type: "directory" | "fifo" }
    | { readonly type: "symlink" | "hardLink"; readonly target: ByteString }
    | { readonly type: "characterDevice" | "blockDevice"; readonly major: number; readonly minor: number }
  );

/** To the kernel, (uid_t) -1 means "no change": root's files would stay root's. */
const maxOwner = 0xffff_fffe;
const minOwner = -0x8000_0000;
const noXattrs: Xattrs = new Map();

/** The entry, with `sizeBytes` for a file's size. Throws invalid_argument. */
export function composeEntry(header: Header, preamble: Preamble, sizeBytes: number): TarEntry {
  const { typeFlag } = header;
  const common = commonOf(header, preamble);
  switch (typeFlag) {
    case "\0":
      // Before POSIX a directory was a file whose name ends in a slash.
      return common.name.endsWith("/") ? { ...common, type: "directory" } : { ...common, type: "file", sizeBytes };
    case "0":
    case "7":
    case "S":
      return { ...common, type: "file", sizeBytes };
    case "1":
    case "2":
      return { ...common, type: typeFlag === "1" ? "hardLink" : "symlink", target: targetOf(header, preamble) };
    case "3":
    case "4":
      return {
        ...common,
        type: typeFlag === "3" ? "characterDevice" : "blockDevice",
        major: header.deviceMajor,
        minor: header.deviceMinor,
      };
    case "5":
      return { ...common, type: "directory" };
    case "6":
      return { ...common, type: "fifo" };
    default:
      throw invalidArgument(`entries of type ${JSON.stringify(typeFlag)} have no place in a layer`);
  }
}

function commonOf(header: Header, preamble: Preamble): Common {
  const name = nameOf(header, preamble);
  if (name === "") throw invalidArgument("its name is empty");
  if (name.includes("\0")) throw invalidArgument("its name contains a NUL");
  const record = (key: string) => recordOf(preamble, key);
  const mtime = record("mtime");
  const atime = record("atime");
  return {
    name,
    mode: header.mode & 0o7777,
    uid: owner("uid", record("uid"), header.uid),
    gid: owner("gid", record("gid"), header.gid),
    mtime: mtime === undefined ? header.mtime : parsePaxTime(mtime, "mtime"),
    atime: atime === undefined ? header.atime : parsePaxTime(atime, "atime"),
    xattrs: xattrsIn(preamble),
  };
}

/** A negative owner is taken as chown(2) takes it, as in Go's archive/tar: -2 is 4294967294. */
function owner(field: string, record: string | undefined, header: number): number {
  const value = record === undefined ? header : parseInteger(record, field);
  if (value < minOwner || value > maxOwner || value === -1) {
    throw invalidArgument(`its ${field} ${value} is not from 0 to ${maxOwner}, nor from ${minOwner} to -2`);
  }
  return value >>> 0;
}

function xattrsIn({ local, global }: Preamble): Xattrs {
  const own = local.size === 0 ? noXattrs : xattrsOf(local);
  if (global.records.size === 0 || global.xattrs.size === 0) return own;
  return own.size === 0 ? global.xattrs : new Map([...global.xattrs, ...own]);
}

function targetOf(header: Header, preamble: Preamble): ByteString {
  const target = linkNameOf(header, preamble);
  if (target === "") throw invalidArgument("it is a link to nothing: its target is empty");
  if (target.includes("\0")) throw invalidArgument(`its target ${display(target)} contains a NUL`);
  return target;
}
