// Room: config. Owns what stands in a TOML file: each value and each table, with its line.
import { createRequire } from "node:module";
import type { AST } from "toml-eslint-parser";

export interface Entry {
  /** `["pools", "fast", "min-free"]` */
  readonly path: readonly string[];
  /** A string, number, boolean or Date, or an array; undefined for a table. */
  readonly value: unknown;
  readonly line: number;
  /** A table in double brackets. */
  readonly isRepeated?: true;
}

/** What makes a file unreadable as a whole. */
export interface SyntaxFault {
  readonly line: number;
  /** From 1. */
  readonly column: number;
  readonly message: string;
}

export type TomlDocument =
  | { readonly kind: "read"; readonly values: readonly Entry[]; readonly tables: readonly Entry[] }
  | { readonly kind: "broken"; readonly fault: SyntaxFault };

export function readToml(text: string): TomlDocument {
  // Loaded only when there is a file: most commands start sooner without it.
  const { parseTOML, ParseError, getStaticTOMLValue } = createRequire(import.meta.url)(
    "toml-eslint-parser",
  ) as typeof import("toml-eslint-parser");
  const values: Entry[] = [];
  const tables: Entry[] = [];
  const collect = (path: readonly string[], { key, value }: AST.TOMLKeyValue): void => {
    const ownPath = [...path, ...key.keys.map(nameOf)];
    const { line } = key.loc.start;
    if (value.type !== "TOMLInlineTable") {
      values.push({ path: ownPath, value: getStaticTOMLValue(value), line });
      return;
    }
    tables.push({ path: ownPath, value: undefined, line });
    for (const inner of value.body) collect(ownPath, inner);
  };
  try {
    for (const node of parseTOML(text, { tomlVersion: "1.0.0" }).body[0].body) {
      if (node.type === "TOMLKeyValue") {
        collect([], node);
        continue;
      }
      const path = node.resolvedKey.map(String);
      const { line } = node.loc.start;
      tables.push({ path, value: undefined, line, ...(node.kind === "array" && { isRepeated: true }) });
      for (const each of node.body) collect(path, each);
    }
    return { kind: "read", values, tables };
  } catch (error) {
    if (error instanceof ParseError) return { kind: "broken", fault: faultOf(text, error) };
    throw error;
  }
}

const nameOf = (key: AST.TOMLBare | AST.TOMLQuoted): string => (key.type === "TOMLBare" ? key.name : key.value);

interface ParserFault {
  readonly lineNumber: number;
  readonly column: number;
  readonly message: string;
}

/** What the parser finds often, in words that name the way out; anything else in its own. */
function faultOf(text: string, { lineNumber: line, column, message }: ParserFault): SyntaxFault {
  const words = text.split("\n")[line - 1] ?? "";
  const name = /^\s*\[*\s*([\w.-]+)/.exec(words)?.[1] ?? "a key";
  const sentence = /multiple times/.test(message)
    ? `${name} is set a second time: remove one of the two`
    : `${lowerFirst(message)}; write settings as key = "text", key = 4 or key = true`;
  return { line, column: column + 1, message: sentence };
}

const lowerFirst = (sentence: string): string => sentence.charAt(0).toLowerCase() + sentence.slice(1);
