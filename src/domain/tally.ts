// Room: domain. Owns the counting of what processes observe, and how the counts of several processes are added up.
import {
  type CounterName,
  declarationOf,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  type ObservedName,
  observedMetrics,
  observedNames,
  widthOf,
} from "./observed-metrics.ts";

/**
 * One series as it stands: the values of its labels in their declared order, and its amounts. Those are one value, or a
 * histogram's count, sum, and observations in each bucket (not in those below).
 */
export interface Series {
  readonly name: ObservedName;
  readonly values: readonly string[];
  readonly amounts: readonly number[];
}

interface Entry extends Series {
  readonly amounts: number[];
  hasChanged: boolean;
}

const maxValueCharacters = 100;
const theOthers = "other";

/** A value of an open label: short, on one line. */
const tidied = (value: string): string =>
  value
    .slice(0, maxValueCharacters)
    .toWellFormed()
    .replace(/[\p{C}]/gu, "?");

export class Tally {
  readonly #entries = new Map<string, Entry>();
  /** The values that were seen of each open label. */
  readonly #known = new Map<string, Set<string>>();

  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    this.#change(name, labels, (amounts) => {
      amounts[0] = (amounts[0] ?? 0) + by;
    });
  }

  set<Name extends GaugeName>(name: Name, labels: LabelsOf<Name>, value: number): void {
    this.#change(name, labels, (amounts) => {
      amounts[0] = value;
    });
  }

  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, seconds: number): void {
    const { buckets } = observedMetrics[name];
    this.#change(name, labels, (amounts) => {
      amounts[0] = (amounts[0] ?? 0) + 1;
      amounts[1] = (amounts[1] ?? 0) + seconds;
      const bucket = buckets.findIndex((bound) => seconds <= bound);
      if (bucket !== -1) amounts[2 + bucket] = (amounts[2 + bucket] ?? 0) + 1;
    });
  }

  /** Makes every series exist whose labels have closed lists of values. */
  startAll(): void {
    for (const name of observedNames) {
      for (const values of closedValuesOf(name)) this.#entry(name, (_label, index) => values[index] ?? "");
    }
  }

  /** Makes the series exist, with 0. */
  start<Name extends ObservedName>(name: Name, labels: LabelsOf<Name>): void {
    this.#change(name, labels, () => undefined);
  }

  /** Adds what a process has observed since its last report; a gauge takes the reported value. */
  add({ name, values, amounts }: Series): void {
    const entry = this.#entry(name, (_label, index) => values[index] ?? "");
    const isGauge = declarationOf(name).kind === "gauge";
    for (const [index, amount] of amounts.entries()) {
      entry.amounts[index] = isGauge ? amount : (entry.amounts[index] ?? 0) + amount;
    }
  }

  get series(): readonly Series[] {
    return [...this.#entries.values()];
  }

  /** What has changed since it was last told; `tell` throws if it could not be told, and is asked again next time. */
  tellChanges(tell: (series: Series) => void): void {
    for (const entry of this.#entries.values()) {
      if (!entry.hasChanged) continue;
      tell(entry);
      entry.hasChanged = false;
    }
  }

  #change<Name extends ObservedName>(name: Name, labels: LabelsOf<Name>, change: (amounts: number[]) => void): void {
    const given = labels as Readonly<Record<string, string>>;
    const entry = this.#entry(name, (label) => given[label] ?? "");
    change(entry.amounts);
    entry.hasChanged = true;
  }

  /** Reached by every call and every transaction. `given`: the value of a label, by its name or place. */
  #entry(name: ObservedName, given: (label: string, index: number) => string): Entry {
    const values: string[] = [];
    let key: string = name;
    for (const [index, { label, most }] of labelsOf(name).entries()) {
      const value =
        most === undefined ? given(label, index) : this.#bounded(`${name} ${label}`, given(label, index), most);
      values.push(value);
      key += `\n${value}`;
    }
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const amounts = Array<number>(widthOf(declarationOf(name))).fill(0);
    const made = { name, values, amounts, hasChanged: false };
    this.#entries.set(key, made);
    return made;
  }

  #bounded(label: string, given: string, most: number): string {
    const known = this.#known.get(label) ?? new Set();
    if (known.has(given)) return given;
    this.#known.set(label, known);
    const value = tidied(given);
    if (known.has(value)) return value;
    if (known.size >= most) return theOthers;
    known.add(value);
    return value;
  }
}

/** The labels of each metric in their declared order; `most` is undefined for those with a closed list of values. */
const declaredLabels = new Map(
  observedNames.map((name) => {
    const labels = Object.entries(declarationOf(name).labels);
    return [name, labels.map(([label, allowed]) => ({ label, most: "most" in allowed ? allowed.most : undefined }))];
  }),
);

const labelsOf = (name: ObservedName) => declaredLabels.get(name) ?? [];

export const labelNamesOf = (name: ObservedName): readonly string[] => labelsOf(name).map(({ label }) => label);

/** All combinations of the labels' values; none if a label is open. */
function closedValuesOf(name: ObservedName): string[][] {
  let combined: string[][] = [[]];
  for (const allowed of Object.values(declarationOf(name).labels)) {
    if ("most" in allowed) return [];
    combined = combined.flatMap((values) => allowed.map((value) => [...values, value]));
  }
  return combined;
}

/** What this process observes. */
export const observed = new Tally();

/** The series in a report of another process; undefined if it is none. */
export function parseSeries(given: unknown): Series | undefined {
  if (!Array.isArray(given) || given.length !== 3) return undefined;
  const [name, values, amounts]: readonly unknown[] = given;
  const known = observedNames.find((candidate) => candidate === name);
  if (known === undefined || !isList(values, "string") || !isList(amounts, "number")) return undefined;
  const isWhole = values.length === labelNamesOf(known).length && amounts.length === widthOf(declarationOf(known));
  return isWhole ? { name: known, values, amounts } : undefined;
}

type Listed = { readonly string: string; readonly number: number };
const isList = <Kind extends keyof Listed>(given: unknown, kind: Kind): given is Listed[Kind][] =>
  Array.isArray(given) && given.every((item) => typeof item === kind);

export const encodeSeries = ({ name, values, amounts }: Series): string => JSON.stringify([name, values, amounts]);

/** The reports of one process: each holds what its series have come to since the process started. */
export class Ledger {
  readonly #totals: Pick<Tally, "add">;
  readonly #reported = new Map<string, readonly number[]>();

  constructor(totals: Pick<Tally, "add">) {
    this.#totals = totals;
  }

  /** A report that is lost is made up for by the next one, and one that comes twice counts once. */
  enter(series: Series): void {
    const { name, values, amounts } = series;
    const key = [name, ...values].join("\n");
    const before = this.#reported.get(key) ?? [];
    this.#reported.set(key, amounts);
    const isGauge = declarationOf(name).kind === "gauge";
    const added = isGauge ? amounts : amounts.map((amount, index) => Math.max(0, amount - (before[index] ?? 0)));
    this.#totals.add({ name, values, amounts: added });
  }
}
