// Room: images. Owns the parsing of JSON that may have been made to do harm: it is measured before it is built.
import { failedPrecondition } from "../domain/errors.ts";

/** No document of an image is deeper than a dozen. */
const maxDepth = 100;
/** An object or an array takes up to a hundred bytes of memory, and two characters of text. */
const maxValues = 1_000_000;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
/** `[` and `{`, `]` and `}`. */
const isOpening = (byte: number): boolean => byte === 0x5b || byte === 0x7b;
const isClosing = (byte: number): boolean => byte === 0x5d || byte === 0x7d;

/** The index behind the string that begins at `start`. */
function behindString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at + 1;
}

/** Whether the text nests deeper, or holds more values, than any document; undefined: neither. Not whether it is JSON. */
function excessOf(bytes: Uint8Array): string | undefined {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) {
      at = behindString(bytes, at);
      continue;
    }
    if (isOpening(byte)) depth += 1;
    else if (isClosing(byte)) depth -= 1;
    if (isOpening(byte) || byte === comma) values += 1;
    if (depth > maxDepth) return `is nested more than ${maxDepth} deep`;
    if (values > maxValues) return `has more than ${maxValues} values`;
    at += 1;
  }
  return undefined;
}

/** The value in `bytes`; `what` names it in the error, failed_precondition. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  const excess = excessOf(bytes);
  if (excess !== undefined) throw failedPrecondition(`${what} ${excess}: that is no document of an image`);
  try {
    // Bytes that are not UTF-8 are replaced, as Go does it.
    return JSON.parse(new TextDecoder("utf-8").decode(bytes));
  } catch {
    // What the parser says shows a piece of the text.
    throw failedPrecondition(`${what} is not valid JSON; fetch or build the image again`);
  }
}
