// Room: tar. Owns PAX extended headers: their records, and the extended attributes among them.
import { invalidArgument } from "../domain/errors.ts";
import { type ByteString, byteString, bytesOf, display } from "../system/tree/bytes.ts";
import { maxSegments, tooManySegments } from "./sparse.ts";

/** Records by key; a later one replaces an earlier one. An empty value cancels the record (but see `xattrsOf`). */
export type PaxRecords = ReadonlyMap<string, ByteString>;

export type Xattrs = ReadonlyMap<ByteString, Uint8Array>;

/** In one extended header: a file can have some thousand attributes (XATTR_LIST_MAX), and few other records. */
const maxRecords = 10_000;

/**
 * The records of one extended header, each "<length> <key>=<value>\n", where the decimal length counts the whole record.
 * The sparse map of GNU's format 0.0 repeats two keys; their values are gathered into one record as format 0.1 has it.
 * Throws invalid_argument.
 */
export function parsePaxRecords(payload: Uint8Array): Map<string, ByteString> {
  const text = byteString(payload);
  const records = new Map<string, ByteString>();
  const sparseNumbers: string[] = [];
  for (let at = 0; at < text.length; ) {
    const record = recordAt(text, at);
    at = record.end;
    if (record.key === "GNU.sparse.offset" || record.key === "GNU.sparse.numbytes") sparseNumbers.push(record.value);
    else records.set(record.key, record.value);
    if (records.size > maxRecords) throw invalidArgument(`an extended header has more than ${maxRecords} PAX records`);
    if (sparseNumbers.length > 2 * maxSegments) throw tooManySegments();
  }
  if (sparseNumbers.length > 0) records.set("GNU.sparse.map", sparseNumbers.join(",") as ByteString);
  return records;
}

function recordAt(text: ByteString, at: number): { key: string; value: ByteString; end: number } {
  const space = text.indexOf(" ", at);
  const digits = text.slice(at, space);
  const end = at + Number(digits);
  const equals = text.indexOf("=", space);
  const sound = /^[0-9]{1,9}$/.test(digits) && end <= text.length && text[end - 1] === "\n" && space > 0;
  if (!sound || equals < 0 || equals >= end || equals === space + 1) {
    throw invalidArgument(`a PAX record at byte ${at} of its extended header is malformed`);
  }
  return { key: text.slice(space + 1, equals), value: text.slice(equals + 1, end - 1) as ByteString, end };
}

const schilyPrefix = "SCHILY.xattr.";
const libarchivePrefix = "LIBARCHIVE.xattr.";

/** The extended attributes in `records`: values as they are (star, GNU tar, Go) or base64 (libarchive). */
export function xattrsOf(records: PaxRecords): Xattrs {
  const xattrs = new Map<ByteString, Uint8Array>();
  for (const [key, value] of records) {
    if (key.startsWith(libarchivePrefix)) {
      xattrs.set(percentDecoded(key.slice(libarchivePrefix.length)), Buffer.from(value, "base64"));
    }
  }
  for (const [key, value] of records) {
    if (key.startsWith(schilyPrefix)) xattrs.set(gnuDecoded(key.slice(schilyPrefix.length)), bytesOf(value));
  }
  for (const name of xattrs.keys()) {
    if (name === "" || name.includes("\0"))
      throw invalidArgument(`its extended attribute ${display(name)} has no valid name`);
  }
  return xattrs;
}

/** libarchive encodes names as URLs do. */
const percentDecoded = (text: string): ByteString =>
  text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) as ByteString;

/**
 * GNU tar writes "=" in a name as "%3D", and "%" as "%25" (xattr_encode_keyword in its xheader.c); Go, star and
 * libarchive write names as they are. So a name with any other "%" in it was not written by GNU tar, and is not decoded.
 */
function gnuDecoded(text: string): ByteString {
  if (/%(?!3D|25)/.test(text)) return text as ByteString;
  return text.replace(/%(3D|25)/g, (_, hex: string) => (hex === "3D" ? "=" : "%")) as ByteString;
}
