// Room: system. Owns the reading of directories.
import { ptr } from "bun:ffi";
import { type ByteString, byteString, fixedMemory } from "./bytes.ts";
import { answer, errnos, libc } from "./calls.ts";

export interface ListedName {
  readonly name: ByteString;
  /** "unknown" on a file system that does not keep types in its directories. */
  readonly kind: "directory" | "other" | "unknown";
}

export interface ListedPage {
  /** Without "." and "..": may be empty before the end. */
  readonly names: readonly ListedName[];
  /** Where the next page begins, also for a descriptor opened anew. */
  readonly next: bigint;
}

/** About three hundred names: a walk down a tree keeps one page for each level. */
const page = fixedMemory(8192);
const pageAddress = ptr(page);
const fromStart = 0;

/** The next names in an open directory; undefined at its end; -errno. Names that were read may be removed meanwhile. */
export function listPage(descriptor: number): ListedPage | undefined | number {
  const length = answer(libc.getdents64(descriptor, pageAddress, page.length));
  if (length < 0) return length;
  return length === 0 ? undefined : readPage(length);
}

/** Makes the next page of an open directory begin at `next` of an earlier page. 0 or -errno. */
export function seekPage(descriptor: number, next: bigint): number {
  return libc.lseek(descriptor, next, fromStart) === next ? 0 : -errnos.EIO;
}

// struct linux_dirent64: inode (8), offset of the next (8), record length (2), type (1), name with a NUL.
function readPage(length: number): ListedPage {
  const names: ListedName[] = [];
  let next = 0n;
  for (let at = 0; at < length; at += page.readUInt16LE(at + 16)) {
    const name = byteString(page, at + 19, page.indexOf(0, at + 19));
    if (name !== "." && name !== "..") names.push({ name, kind: kindOf(page[at + 18]) });
    next = page.readBigInt64LE(at + 8);
  }
  return { names, next };
}

function kindOf(type: number | undefined): ListedName["kind"] {
  if (type === 4) return "directory";
  return type === 0 ? "unknown" : "other";
}
