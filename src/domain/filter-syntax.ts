// Room: domain. Owns the syntax of filters: it parses text into selectors, with errors that say where the text is wrong.
import { invalidArgument } from "./errors.ts";
import { quoted } from "./quoted.ts";

const comparisons = ["==", "!=", "~="] as const;
export type Operator = "present" | (typeof comparisons)[number];

/** One condition. `path` is a field's name and what follows it: "labels", "containerd.io/gc.root". */
export interface Selector {
  readonly path: readonly string[];
  readonly operator: Operator;
  readonly value: string;
}

/**
 * The selectors of one filter, all of which must match. The grammar is containerd's (package filters):
 *
 *     filter   = selector *( "," selector )
 *     selector = field *( "." field ) [ operator value ]
 *     field    = quoted | 1*( letter | digit | "_" | "-" )
 *     operator = "==" | "!=" | "~="
 *     value    = quoted | characters other than "," and white space
 *     quoted   = a Go string in double quotes; after "~=" also between slashes or bars
 *
 * Throws invalid_argument with the place of the mistake.
 */
export function parseFilter(text: string): readonly Selector[] {
  const reader = new Reader(text);
  if (text === "") return [];
  const selectors = [readSelector(reader)];
  while (!reader.atEnd()) {
    reader.expectComma();
    selectors.push(readSelector(reader));
  }
  return selectors;
}

const fieldPattern = /[A-Za-z0-9_-]+/y;
const operatorPattern = /[=!~]+/y;
/** Graphic characters: control characters must be quoted, and escaped. */
const valuePattern = /[^,\s\p{C}]+/uy;
const spacePattern = /\s+/y;

function readSelector(reader: Reader): Selector {
  const path = [readField(reader)];
  while (reader.accept(".")) path.push(readField(reader));
  reader.take(spacePattern);
  if (reader.atEnd() || reader.next() === ",") return { path, operator: "present", value: "" };
  const operator = readOperator(reader);
  reader.take(spacePattern);
  const value = readValue(reader, operator);
  reader.take(spacePattern);
  return { path, operator, value };
}

function readField(reader: Reader): string {
  reader.take(spacePattern);
  if (reader.next() === '"') return reader.quoted();
  const field = reader.take(fieldPattern);
  if (field !== undefined) return field;
  throw reader.mistake(
    'expected a field; names with other characters are written in double quotes: labels."example.com/x"',
  );
}

function readOperator(reader: Reader): Operator {
  const at = reader.position;
  const taken = reader.take(operatorPattern);
  const operator = comparisons.find((candidate) => candidate === taken);
  if (operator !== undefined) return operator;
  throw reader.mistake('expected an operator ("==", "!=" or "~=")', at);
}

function readValue(reader: Reader, operator: Operator): string {
  const first = reader.next();
  if (first === '"') return reader.quoted();
  if (first === "/" || first === "|") {
    if (operator === "~=") return reader.quoted();
    throw reader.mistake(`a value that starts with ${first} must stand in double quotes`);
  }
  const value = first === "." ? undefined : reader.take(valuePattern);
  if (value === undefined) throw reader.mistake("expected a value");
  return value;
}

/** Walks over a filter's text. */
class Reader {
  readonly text: string;
  position = 0;

  constructor(text: string) {
    this.text = text;
  }

  atEnd = (): boolean => this.position >= this.text.length;
  next = (): string | undefined => this.text[this.position];

  accept(character: string): boolean {
    if (this.next() !== character) return false;
    this.position += 1;
    return true;
  }

  expectComma(): void {
    if (!this.accept(",")) throw this.mistake('expected "," or the end');
  }

  /** What a sticky `pattern` matches here, if it does. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position;
    const matched = pattern.exec(this.text)?.[0];
    this.position += matched?.length ?? 0;
    return matched;
  }

  /** A Go string literal between two of the character that stands here. Escapes may name single bytes of UTF-8. */
  quoted(): string {
    const start = this.position;
    const quote = this.next() ?? "";
    this.position += 1;
    const parts: Buffer[] = [];
    while (!this.accept(quote)) {
      const character = String.fromCodePoint(this.text.codePointAt(this.position) ?? 10);
      if (character === "\n") throw this.mistake("the quoted text is not terminated", start);
      this.position += character.length;
      parts.push(character === "\\" ? this.escape(quote) : Buffer.from(character));
    }
    return Buffer.concat(parts).toString();
  }

  private escape(quote: string): Buffer {
    const at = this.position - 1;
    const simple = this.accept(quote) ? quote : simpleEscapes.get(this.next() ?? "");
    if (simple !== undefined) {
      if (simple !== quote) this.position += 1;
      return Buffer.from(simple);
    }
    const byte = this.take(octalEscape) ?? this.take(byteEscape);
    if (byte !== undefined) {
      const value = byte.startsWith("x") ? Number.parseInt(byte.slice(1), 16) : Number.parseInt(byte, 8);
      if (value <= 0xff) return Buffer.from([value]);
    }
    const point = this.take(pointEscape);
    const value = point === undefined ? Number.NaN : Number.parseInt(point.slice(1), 16);
    const isCharacter = value <= 0x10ffff && !(value >= 0xd800 && value <= 0xdfff);
    if (!isCharacter) throw this.mistake("illegal escape sequence", at);
    return Buffer.from(String.fromCodePoint(value));
  }

  mistake(message: string, at = this.position): Error {
    return invalidArgument(`filter ${quoted(this.text)} at character ${at + 1}: ${message}`);
  }
}

const simpleEscapes = new Map(
  Object.entries({ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\" }),
);
const octalEscape = /[0-7]{3}/y;
const byteEscape = /x[0-9A-Fa-f]{2}/y;
const pointEscape = /u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}/y;
