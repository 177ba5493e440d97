// Room: tar. Owns what precedes an entry's own header and overrides it: GNU long names, PAX records, global ones too.
import { invalidArgument } from "../domain/errors.ts";
import { type ByteString, byteString } from "../system/tree/bytes.ts";
import type { MemberHeader } from "./header.ts";
import { type PaxRecords, parsePaxRecords, type Xattrs, xattrsOf } from "./pax.ts";

/** What preceded an entry's own header and applies to it. */
export interface Preamble {
  readonly local: PaxRecords;
  readonly global: GlobalRecords;
  readonly longName: ByteString | undefined;
  readonly longLink: ByteString | undefined;
}

const nothing: PaxRecords = new Map();

/** For the next entry; `global` holds what applies to all entries. */
export const emptyPreamble = (global: GlobalRecords): Preamble => ({
  local: nothing,
  global,
  longName: undefined,
  longLink: undefined,
});

/** Whether an extended header has been read whose entry has not followed yet. */
export const isPending = ({ local, longName, longLink }: Preamble): boolean =>
  local !== nothing || longName !== undefined || longLink !== undefined;

/** Whether a header of this type describes the entries after it, and is no entry itself. */
export const isExtendedHeader = (typeFlag: string): boolean =>
  typeFlag === "x" || typeFlag === "g" || typeFlag === "L" || typeFlag === "K";

/** `preamble` with one more extended header, of type `typeFlag`. Throws invalid_argument. */
export function withExtendedHeader(preamble: Preamble, typeFlag: string, payload: Buffer): Preamble {
  switch (typeFlag) {
    case "x":
      return { ...preamble, local: parsePaxRecords(payload) };
    case "L":
      return { ...preamble, longName: textOf(payload) };
    case "K":
      return { ...preamble, longLink: textOf(payload) };
    default:
      preamble.global.add(parsePaxRecords(payload));
      return preamble;
  }
}

/** Up to the first NUL. */
function textOf(payload: Buffer): ByteString {
  const terminator = payload.indexOf(0);
  return byteString(payload, 0, terminator === -1 ? payload.length : terminator);
}

/** A local record replaces a global one; an empty local one cancels both. Sparse maps are never global. */
export function recordOf({ local, global }: Preamble, key: string): ByteString | undefined {
  const value = local.get(key) ?? (key.startsWith("GNU.") ? undefined : global.records.get(key));
  return value === "" ? undefined : value;
}

/** The entry's name, which messages need also when the rest of the entry is invalid. */
export const nameOf = (header: MemberHeader, preamble: Preamble): ByteString =>
  preamble.longName ?? recordOf(preamble, "GNU.sparse.name") ?? recordOf(preamble, "path") ?? header.name;

/** What a hard link or a symlink points to. */
export const linkNameOf = (header: MemberHeader, preamble: Preamble): ByteString =>
  preamble.longLink ?? recordOf(preamble, "linkpath") ?? header.linkName;

/** Real archives have a comment there, or an owner or a time. The limit matters because every entry looks at them. */
const maxRecords = 256;
const maxBytes = 256 * 2 ** 10;

/** The PAX records that apply to all following entries, from any number of global headers. */
export class GlobalRecords {
  readonly #records = new Map<string, ByteString>();
  #bytes = 0;
  #xattrs: Xattrs | undefined;

  get records(): PaxRecords {
    return this.#records;
  }

  /** The extended attributes among them. */
  get xattrs(): Xattrs {
    this.#xattrs ??= xattrsOf(this.#records);
    return this.#xattrs;
  }

  /** Throws invalid_argument when there are too many in total. */
  add(records: PaxRecords): void {
    this.#xattrs = undefined;
    for (const [key, value] of records) {
      const replaced = this.#records.get(key);
      this.#bytes += replaced === undefined ? key.length + value.length : value.length - replaced.length;
      this.#records.set(key, value);
    }
    if (this.#records.size <= maxRecords && this.#bytes <= maxBytes) return;
    throw invalidArgument(`the archive has more than ${maxRecords} global PAX records, or ${maxBytes} bytes of them`);
  }
}
