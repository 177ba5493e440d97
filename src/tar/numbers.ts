// Room: tar. Owns how a tar archive writes numbers and times.
import { invalidArgument } from "../domain/errors.ts";
import type { FileTime } from "../system/tree/metadata.ts";

/**
 * The number in a header field: octal digits padded with spaces and NULs (all padding: 0), or binary, big-endian, with
 * the top bit of the first byte set (GNU's base-256; the next bit is the sign). Throws invalid_argument.
 */
export function parseNumber(block: Uint8Array, at: number, length: number, field: string): number {
  const lead = block[at] ?? 0;
  return lead >= 0x80 ? parseBinary(block, at, length, field) : parseOctal(block, at, length, field);
}

const isPadding = (byte: number | undefined): boolean => byte === 0x20 || byte === 0;

function parseOctal(block: Uint8Array, start: number, length: number, field: string): number {
  let at = start;
  let end = start + length;
  while (at < end && isPadding(block[at])) at++;
  while (end > at && isPadding(block[end - 1])) end--;
  let value = 0;
  for (; at < end; at++) {
    const digit = (block[at] ?? 0) - 0x30;
    // What follows a NUL is left over from a longer number: C programs stop there.
    if (block[at] === 0) break;
    if (digit < 0 || digit > 7) throw invalidArgument(`the ${field} in its header is not an octal number`);
    value = value * 8 + digit;
  }
  return value;
}

function parseBinary(block: Uint8Array, at: number, length: number, field: string): number {
  const negative = ((block[at] ?? 0) & 0x40) !== 0;
  const invert = negative ? 0xff : 0;
  let value = ((block[at] ?? 0) ^ invert) & 0x7f;
  for (let index = 1; index < length; index++) value = value * 256 + ((block[at + index] ?? 0) ^ invert);
  if (!Number.isSafeInteger(value)) throw invalidArgument(`the ${field} in its header is out of range`);
  return negative ? -value - 1 : value;
}

/** A whole number in decimal digits, as PAX records and sparse maps have it. Throws invalid_argument. */
export function parseDecimal(text: string, field: string): number {
  const value = /^\d{1,20}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw invalidArgument(`${field} ${JSON.stringify(text.slice(0, 40))} is not a number`);
  return value;
}

/** As `parseDecimal`, but it may be negative. */
export const parseInteger = (text: string, field: string): number =>
  text.startsWith("-") ? -parseDecimal(text.slice(1), field) : parseDecimal(text, field);

/** A PAX time: decimal seconds with a fraction of any length ("-1.5"); cut to nanoseconds. Throws invalid_argument. */
export function parsePaxTime(text: string, field: string): FileTime {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (match === null) throw invalidArgument(`${field} ${JSON.stringify(text.slice(0, 40))} is not a time`);
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] === "") return { seconds, nanoseconds };
  // Nanoseconds count forward from the second before, also below zero.
  if (nanoseconds === 0) return { seconds: -seconds + 0, nanoseconds };
  return { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}
