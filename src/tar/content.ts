// Room: tar. Owns how the content of an entry is stored: how many bytes, and where in the file they belong.
import { invalidArgument } from "../domain/errors.ts";
import type { Header, MemberHeader } from "./header.ts";
import { parseDecimal } from "./numbers.ts";
import { type Preamble, recordOf } from "./preamble.ts";
import { parseOldSparseBlock, parseOldSparseSize, parseSparseList, type Segment } from "./sparse.ts";

export type Content =
  | { readonly kind: "plain"; readonly storedBytes: number }
  /** The archive stores the parts of the file in `segments`, one after the other. */
  | {
      readonly kind: "sparse";
      readonly storedBytes: number;
      readonly sizeBytes: number;
      readonly segments: Segment[];
      /** Where the rest of the map is: there is none, in blocks after the header, at the start of the content. */
      readonly mapIn: "header" | "extensions" | "content";
    };

/**
 * Links, devices, directories and fifos have none, whatever their size field says. Go's and Python's readers do the same,
 * and some archives rely on it.
 */
const hasContent = ({ typeFlag }: MemberHeader): boolean => typeFlag < "1" || typeFlag > "6";

/** How many bytes of content follow the entry's header, before the padding. Throws invalid_argument. */
export function storedBytesOf(header: MemberHeader, preamble: Preamble): number {
  if (!hasContent(header)) return 0;
  const record = recordOf(preamble, "size");
  return record === undefined ? header.sizeBytes : parseDecimal(record, "size");
}

/** Whether the archive stores only parts of the file, with a map of them. */
export const isSparse = (header: MemberHeader, preamble: Preamble): boolean =>
  header.typeFlag === "S" || (hasContent(header) && versionOf(preamble) !== undefined);

/** Throws invalid_argument. */
export function contentOf(header: Header, block: Uint8Array, preamble: Preamble): Content {
  const storedBytes = storedBytesOf(header, preamble);
  if (!hasContent(header)) return { kind: "plain", storedBytes };
  if (header.typeFlag === "S") {
    const segments: Segment[] = [];
    const { more } = parseOldSparseBlock(block, "header", segments);
    const sizeBytes = parseOldSparseSize(block);
    return { kind: "sparse", storedBytes, sizeBytes, segments, mapIn: more ? "extensions" : "header" };
  }
  return paxSparse(preamble, storedBytes) ?? { kind: "plain", storedBytes };
}

function paxSparse(preamble: Preamble, storedBytes: number): Content | undefined {
  const version = versionOf(preamble);
  switch (version) {
    case undefined:
      return undefined;
    case "1.0":
      return { kind: "sparse", storedBytes, sizeBytes: sizeIn(preamble, "realsize"), segments: [], mapIn: "content" };
    case "0.0":
    case "0.1": {
      const segments = parseSparseList(recordOf(preamble, "GNU.sparse.map") ?? "");
      return { kind: "sparse", storedBytes, sizeBytes: sizeIn(preamble, "size"), segments, mapIn: "header" };
    }
    default:
      throw invalidArgument(`it is a sparse file of format ${version}, which is not known`);
  }
}

function versionOf(preamble: Preamble): string | undefined {
  const major = recordOf(preamble, "GNU.sparse.major");
  if (major !== undefined) return `${major}.${recordOf(preamble, "GNU.sparse.minor") ?? "0"}`;
  // The versions before 1.0 do not state a version.
  return recordOf(preamble, "GNU.sparse.size") === undefined ? undefined : "0.1";
}

function sizeIn(preamble: Preamble, key: "realsize" | "size"): number {
  const value = recordOf(preamble, `GNU.sparse.${key}`);
  if (value === undefined) throw invalidArgument(`it is a sparse file without its size (GNU.sparse.${key})`);
  return parseDecimal(value, "sparse size");
}
