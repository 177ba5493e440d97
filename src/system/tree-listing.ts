// Room: system. Owns the reading of directories.
import { ptr } from "bun:ffi";
import { type ByteString, byteString, fixedMemory } from "./tree-bytes.ts";
import { answer, libc } from "./tree-calls.ts";

export interface ListedName {
  readonly name: ByteString;
  /** "unknown" on a file system that does not keep types in its directories. */
  readonly kind: "directory" | "other" | "unknown";
}

const page = fixedMemory(65_536);
const pageAddress = ptr(page);

/** All names in an open directory but "." and "..", or -errno. Read it whole before changing the directory. */
export function listDirectory(descriptor: number): ListedName[] | number {
  const names: ListedName[] = [];
  for (;;) {
    const length = answer(libc.getdents64(descriptor, pageAddress, page.length));
    if (length < 0) return length;
    if (length === 0) return names;
    readPage(length, names);
  }
}

// struct linux_dirent64: inode (8), offset (8), record length (2), type (1), name with a NUL.
function readPage(length: number, names: ListedName[]): void {
  for (let at = 0; at < length; at += page.readUInt16LE(at + 16)) {
    const name = byteString(page, at + 19, page.indexOf(0, at + 19));
    if (name !== "." && name !== "..") names.push({ name, kind: kindOf(page[at + 18]) });
  }
}

function kindOf(type: number | undefined): ListedName["kind"] {
  if (type === 4) return "directory";
  return type === 0 ? "unknown" : "other";
}
