// Room: domain. Owns what filters mean: which snapshots they let through, and which index can find those.
import { invalidArgument } from "./errors.ts";
import { parseFilter, type Selector } from "./filter-syntax.ts";
import { quoted } from "./quoted.ts";
import type { Snapshot, SnapshotKind } from "./snapshots.ts";
import { snapshotKinds } from "./snapshots.ts";

/** One thing that every match has in common, for a store to look up instead of reading everything. */
export type Lookup =
  | { readonly by: "name"; readonly name: string }
  | { readonly by: "label"; readonly name: string; readonly value: string }
  | { readonly by: "parent"; readonly parent: string }
  | { readonly by: "kind"; readonly kind: SnapshotKind };

export interface SnapshotFilter {
  readonly matches: (snapshot: Snapshot) => boolean;
  /** Undefined: only a look at every snapshot finds the matches. */
  readonly lookup: Lookup | undefined;
}

/**
 * What `filters` let through: a snapshot that matches any of them; with none, every snapshot. Syntax: filter-syntax.ts.
 *
 * Fields are `name`, `parent`, `kind` and `labels.<name>`. As in containerd, a field that a snapshot does not have is
 * not equal to anything, `!=` everything, and the empty text to `~=`; a parent is always present, if only as "".
 * Throws invalid_argument for what cannot be parsed.
 */
export function compileFilters(filters: readonly string[]): SnapshotFilter {
  if (filters.length === 0) return { matches: () => true, lookup: undefined };
  checkSizes(filters);
  const alternatives = filters.map((filter) => parseFilter(filter).map(compileSelector));
  const [only] = alternatives;
  return {
    matches: (snapshot) => alternatives.some((conditions) => conditions.every(({ matches }) => matches(snapshot))),
    lookup: alternatives.length === 1 && only !== undefined ? mostSelective(only) : undefined,
  };
}

/** Of one walk. containerd's own walks have a filter or two, of some hundred characters. */
const limits = { filters: 64, characters: 16_384, patternMs: 150 } as const;

function checkSizes(filters: readonly string[]): void {
  if (filters.length > limits.filters) {
    throw invalidArgument(`at most ${limits.filters} filters can be given at once, these are ${filters.length}`);
  }
  const characters = filters.reduce((sum, filter) => sum + filter.length, 0);
  if (characters > limits.characters) {
    throw invalidArgument(`filters have at most ${limits.characters} characters in all, these ${characters}`);
  }
}

const compileSelector = (selector: Selector): SnapshotFilter => ({
  matches: condition(selector),
  lookup: selector.operator === "==" ? equalityLookup(selector) : undefined,
});

function condition({ path, operator, value }: Selector): (snapshot: Snapshot) => boolean {
  switch (operator) {
    case "present":
      return (snapshot) => fieldOf(snapshot, path) !== undefined;
    case "==":
      return (snapshot) => fieldOf(snapshot, path) === value;
    case "!=":
      return (snapshot) => (fieldOf(snapshot, path) ?? "") !== value;
    case "~=": {
      const pattern = compilePattern(value);
      return (snapshot) => matchesInTime(pattern, fieldOf(snapshot, path) ?? "");
    }
  }
}

function fieldOf(snapshot: Snapshot, [field, ...rest]: readonly string[]): string | undefined {
  if (field === "name") return snapshot.key;
  if (field === "parent") return snapshot.parent ?? "";
  if (field === "kind") return snapshot.kind;
  if (field !== "labels") return undefined;
  const name = rest.join(".");
  return Object.hasOwn(snapshot.labels, name) ? snapshot.labels[name] : undefined;
}

function equalityLookup({ path: [field, ...rest], value }: Selector): Lookup | undefined {
  if (field === "name") return { by: "name", name: value };
  if (field === "labels") return { by: "label", name: rest.join("."), value };
  if (field === "parent" && value !== "") return { by: "parent", parent: value };
  const kind = snapshotKinds.find((candidate) => field === "kind" && candidate === value);
  return kind === undefined ? undefined : { by: "kind", kind };
}

const selectivity = ["name", "label", "parent", "kind"] as const;

function mostSelective(conditions: readonly SnapshotFilter[]): Lookup | undefined {
  const lookups = conditions.flatMap(({ lookup }) => (lookup === undefined ? [] : [lookup]));
  return selectivity.map((by) => lookups.find((lookup) => lookup.by === by)).find((lookup) => lookup !== undefined);
}

/**
 * JavaScript backtracks, which RE2 never does: for nested repetition, JavaScriptCore gives up after about half a second
 * and says that nothing matches. A pattern that takes so long is refused instead, at the first text that shows it.
 */
function matchesInTime(pattern: RegExp, text: string): boolean {
  // Twice, since once may have been a pause of the machine's.
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    const sinceMs = performance.now();
    const isMatch = pattern.test(text);
    if (isMatch || performance.now() - sinceMs < limits.patternMs) return isMatch;
  }
  throw invalidArgument(
    `regular expression ${quoted(pattern.source)} takes too long on ${quoted(text)}: write it without nested repetition`,
  );
}

const maxPatternLength = 1024;
const leadingFlags = /^\(\?([imsU]+)\)/;
/** What JavaScript has and Go's RE2 has not: look-around and references back, whose cost has no bound either. */
const notInRe2 = /\(\?<?[=!]|\\[1-9]|\\k</;

const posixClasses: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  digit: "0-9",
  lower: "a-z",
  upper: "A-Z",
  space: "\\t\\n\\v\\f\\r ",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

/**
 * A regular expression as Go's RE2 writes it, run by JavaScript. Leading flags (`(?i)`), `(?P<name>`, `\A`, `\z` and the
 * POSIX classes are translated; `\Q...\E` is not known. Filters are matched by readers, never by the pool's worker.
 */
function compilePattern(pattern: string): RegExp {
  const refuse = (reason: string) => invalidArgument(`regular expression ${quoted(pattern)}: ${reason}`);
  if (pattern.length > maxPatternLength) throw refuse(`longer than ${maxPatternLength} characters`);
  if (notInRe2.test(pattern)) throw refuse("look-around and references back are not supported");
  const flags = leadingFlags.exec(pattern)?.[1] ?? "";
  if (flags.includes("U")) throw refuse("the flag U is not supported");
  const translated = pattern
    .replace(leadingFlags, "")
    .replaceAll("(?P<", "(?<")
    .replaceAll("\\A", "^")
    .replaceAll("\\z", "$")
    .replaceAll(/\[:([a-z]+):\]/g, (whole, name: string) => posixClasses[name] ?? whole);
  try {
    return new RegExp(translated, [...new Set(flags)].join(""));
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
}
