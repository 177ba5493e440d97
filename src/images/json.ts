// Room: images. Owns the parsing of untrusted JSON: its size is measured before the values are built.
import { failedPrecondition } from "../domain/errors.ts";

/** No real document of an image is nested more than a dozen levels deep. */
const maxDepth = 100;
/** An object or an array takes up to a hundred bytes of memory, and two characters of text. */
const maxValues = 1_000_000;
/** Of one object: many fields are much slower to build than many values. The largest real one is an image's labels. */
const maxFields = 10_000;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openingBrace = 0x7b;
const isOpening = (byte: number): boolean => byte === 0x5b || byte === openingBrace;
const isClosing = (byte: number): boolean => byte === 0x5d || byte === 0x7d;

/** The index behind the string that begins at `start`. */
function behindString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at + 1;
}

class Measure {
  /** For each open object, how many fields it has; an array has no limit of its own. */
  readonly #open: number[] = [];
  #values = 0;

  /** Takes a byte outside of strings; returns what limit is exceeded by it, if any. */
  take(byte: number): string | undefined {
    if (isClosing(byte)) this.#open.pop();
    if (isOpening(byte)) {
      if (this.#open.push(byte === openingBrace ? 1 : Number.NEGATIVE_INFINITY) > maxDepth)
        return `is nested more than ${maxDepth} deep`;
    } else if (byte === comma) {
      const fields = (this.#open.pop() ?? 0) + 1;
      if (fields > maxFields) return `has an object of more than ${maxFields} fields`;
      this.#open.push(fields);
    } else return undefined;
    this.#values += 1;
    return this.#values > maxValues ? `has more than ${maxValues} values` : undefined;
  }
}

/** The limit that the text exceeds; undefined: none. It may still not be JSON. */
function excessOf(bytes: Uint8Array): string | undefined {
  const measure = new Measure();
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) {
      at = behindString(bytes, at);
      continue;
    }
    const excess = measure.take(byte);
    if (excess !== undefined) return excess;
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
    // The parser's message is dropped: it quotes the text.
    throw failedPrecondition(`${what} is not valid JSON; fetch or build the image again`);
  }
}
