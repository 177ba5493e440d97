// Room: config. Owns the kinds of values that settings have: how each is read from text, and how it is written.
import { parseDuration, parseSize } from "../domain/units.ts";

/** How a value stands in a TOML file; `list`: an array of strings, joined by the separator where it is given as text. */
export type Form =
  | { readonly as: "string" }
  | { readonly as: "integer" }
  | { readonly as: "boolean" }
  | { readonly as: "list"; readonly separator: string };

export interface Kind<Value> {
  readonly form: Form;
  /** For messages: "a size, such as \"20GiB\"". */
  readonly describes: string;
  /** Throws an error that says what is wrong with the text of a variable or a flag. */
  readonly parse: (text: string) => Value;
  /** A text from which `parse` makes the value again. */
  readonly format: (value: Value) => string;
}

const asIs = (value: string): string => value;

function requireText(text: string): string {
  if (text === "") throw new Error("must not be empty");
  return text;
}

export const text: Kind<string> = { form: { as: "string" }, describes: "a text", parse: requireText, format: asIs };

/** A text where an empty one has a meaning of its own. */
export const anyText: Kind<string> = { form: { as: "string" }, describes: "a text", parse: asIs, format: asIs };

/** A text that a domain parser accepts. */
export const parsed = <Value extends string>(describes: string, parse: (text: string) => Value): Kind<Value> => ({
  form: { as: "string" },
  describes,
  parse,
  format: asIs,
});

export function oneOf<Name extends string>(names: readonly Name[]): Kind<Name> {
  const describes = `one of ${names.map((name) => JSON.stringify(name)).join(", ")}`;
  return parsed(describes, (given) => {
    const found = names.find((name) => name === given);
    if (found === undefined) throw new Error(`${JSON.stringify(given)} is not ${describes}`);
    return found;
  });
}

export const flag: Kind<boolean> = {
  form: { as: "boolean" },
  describes: "true or false",
  parse: (given) => {
    if (given !== "true" && given !== "false") throw new Error(`${JSON.stringify(given)} is neither true nor false`);
    return given === "true";
  },
  format: String,
};

export const wholeNumber = (from: number, to: number): Kind<number> => ({
  form: { as: "integer" },
  describes: `a whole number from ${from} to ${to}`,
  parse: (given) => {
    const value = Number(given);
    if (!/^-?\d+$/.test(given) || value < from || value > to) {
      throw new Error(`${JSON.stringify(given)} is not a whole number from ${from} to ${to}`);
    }
    return value;
  },
  format: String,
});

interface SizeLimits {
  readonly mayBeZero?: true;
  readonly mostBytes?: number;
  /** Why not more. */
  readonly most?: string;
}

/** In bytes. */
export const size = ({
  mayBeZero,
  mostBytes = Number.POSITIVE_INFINITY,
  most = "",
}: SizeLimits = {}): Kind<number> => ({
  form: { as: "string" },
  describes: 'a size, such as "20GiB"',
  parse: (given) => {
    const bytes = mayBeZero === true && given === "0" ? 0 : parseSize(given);
    if (bytes > mostBytes) throw new Error(most);
    return bytes;
  },
  format: String,
});

const longestPauseMs = 24 * 3_600_000;

/** In milliseconds. */
export const pause: Kind<number> = {
  form: { as: "string" },
  describes: 'a pause of up to a day, such as "200ms" or "39s"',
  parse: (given) => {
    const ms = parseDuration(given);
    if (ms < 1 || ms > longestPauseMs) throw new Error("give a pause of 1ms to 1d");
    return ms;
  },
  format: (ms) => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`),
};

/** As a share: 0.1 is a tenth. */
export const percentage: Kind<number> = {
  form: { as: "string" },
  describes: 'a percentage below 100, such as "10%"',
  parse: (given) => {
    if (!/^\d{1,2}(\.\d+)?%$/.test(given)) throw new Error("give a percentage below 100, such as 10%");
    return Number.parseFloat(given) / 100;
  },
  // 0.07 * 100 is not 7.
  format: (share) => `${Number((share * 100).toPrecision(12))}%`,
};

interface ListOf {
  readonly describes: string;
  readonly separator: string;
  /** Throws what is wrong with an item. Default: the item as it is. */
  readonly read?: (item: string) => string;
}

const partsOf = (given: string, separator: string): string[] =>
  given.split(separator === ":" ? ":" : /[\s,]+/).filter((item) => item !== "");

/** Separated by colons; or by commas or white space, whichever the separator is. */
export const list = ({ describes, separator, read = asIs }: ListOf): Kind<readonly string[]> => ({
  form: { as: "list", separator },
  describes,
  parse: (given) => partsOf(given, separator).map(read),
  format: (items) => items.join(separator),
});

/** Arguments for a program, separated by white space. */
export const words: Kind<readonly string[]> = {
  form: { as: "list", separator: " " },
  describes: "a list of arguments",
  parse: (given) => given.split(/\s+/).filter((word) => word !== ""),
  format: (items) => items.join(" "),
};
