// Room: domain. Owns the meaning of filters: which snapshots match, and which index can find them.
import { RE2JS } from "re2js";
import { invalidArgument } from "./errors.ts";
import { parseFilter, type Selector } from "./filter-syntax.ts";
import { quoted } from "./quoted.ts";
import type { Snapshot, SnapshotKind } from "./snapshots.ts";
import { snapshotKinds } from "./snapshots.ts";

/** What every match has in common: a store can look this up instead of reading everything. */
export type Lookup =
  | { readonly by: "name"; readonly name: string }
  | { readonly by: "label"; readonly name: string; readonly value: string }
  | { readonly by: "parent"; readonly parent: string }
  | { readonly by: "kind"; readonly kind: SnapshotKind };

export interface SnapshotFilter {
  readonly matches: (snapshot: Snapshot) => boolean;
  /** Undefined: every snapshot must be read to find the matches. */
  readonly lookup: Lookup | undefined;
}

/**
 * What `filters` select: the snapshots that match any of them; without filters, every snapshot. Syntax: filter-syntax.ts.
 *
 * Fields are `name`, `parent`, `kind` and `labels.<name>`. As in containerd, a field that a snapshot does not have is
 * not equal to anything, `!=` everything, and matched by `~=` as the empty text; a parent is always present, perhaps as "".
 * Throws invalid_argument for what cannot be parsed.
 */
export function compileFilters(filters: readonly string[]): SnapshotFilter {
  if (filters.length === 0) return { matches: () => true, lookup: undefined };
  checkSizes(filters);
  const parsed = filters.map(parseFilter);
  checkPatterns(parsed);
  const patterns = new Patterns();
  const alternatives = parsed.map((selectors) => selectors.map((selector) => compileSelector(selector, patterns)));
  const [only] = alternatives;
  return {
    matches: (snapshot) => alternatives.some((conditions) => conditions.every(({ matches }) => matches(snapshot))),
    lookup: alternatives.length === 1 && only !== undefined ? mostSelective(only) : undefined,
  };
}

/** Limits for one walk. containerd's own walks have one or two filters of a few hundred characters. */
const limits = { filters: 64, characters: 16_384, patterns: 16, patternSteps: 1024, patternMs: 150 } as const;

function checkSizes(filters: readonly string[]): void {
  if (filters.length > limits.filters) {
    throw invalidArgument(`at most ${limits.filters} filters can be given at once, these are ${filters.length}`);
  }
  const characters = filters.reduce((sum, filter) => sum + filter.length, 0);
  if (characters > limits.characters) {
    throw invalidArgument(`filters have at most ${limits.characters} characters in all, these ${characters}`);
  }
}

function checkPatterns(parsed: readonly (readonly Selector[])[]): void {
  const patterns = parsed.flat().filter(({ operator }) => operator === "~=").length;
  if (patterns > limits.patterns) {
    throw invalidArgument(`filters have at most ${limits.patterns} regular expressions in all, these ${patterns}`);
  }
}

const compileSelector = (selector: Selector, patterns: Patterns): SnapshotFilter => ({
  matches: condition(selector, patterns),
  lookup: selector.operator === "==" ? equalityLookup(selector) : undefined,
});

function condition({ path, operator, value }: Selector, patterns: Patterns): (snapshot: Snapshot) => boolean {
  switch (operator) {
    case "present":
      return (snapshot) => fieldOf(snapshot, path) !== undefined;
    case "==":
      return (snapshot) => fieldOf(snapshot, path) === value;
    case "!=":
      return (snapshot) => (fieldOf(snapshot, path) ?? "") !== value;
    case "~=": {
      const pattern = patterns.compile(value);
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

/** The longest text is a label's value, so a match takes a few million steps at most. */
function matchesInTime(pattern: RE2JS, text: string): boolean {
  // Twice, because the first time the machine may have paused.
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    const sinceMs = performance.now();
    const isMatch = pattern.test(text);
    if (performance.now() - sinceMs < limits.patternMs) return isMatch;
  }
  throw invalidArgument(
    `regular expression ${quoted(pattern.pattern())} takes too long on ${quoted(text)}: write a simpler one`,
  );
}

const maxPatternLength = 1024;

/**
 * The regular expressions of one walk, as Go's RE2 reads them: their cost is bounded by the lengths of pattern and text.
 * JavaScript's own expressions backtrack, perhaps for hours, and cannot be interrupted.
 */
class Patterns {
  /** Size of a compiled pattern, and so its memory: counted repetition is expanded, `[0-9a-f]{64}` counts 64. */
  #leftSteps: number = limits.patternSteps;

  compile(pattern: string): RE2JS {
    const refuse = (reason: string) => invalidArgument(`regular expression ${quoted(pattern)}: ${reason}`);
    if (pattern.length > maxPatternLength) throw refuse(`longer than ${maxPatternLength} characters`);
    const compiled = compiledOr(refuse, pattern);
    this.#leftSteps -= compiled.programSize();
    if (this.#leftSteps < 0) throw refuse("it is too much with its repetitions written out: write a simpler one");
    return compiled;
  }
}

function compiledOr(refuse: (reason: string) => Error, pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
}
