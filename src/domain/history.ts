// Room: domain. Owns the history of a pool: what a point of it says, how points become one, and how long they are kept.

/** The rings that a pool's history is kept in. Each has a place for every step of its span, and no other. */
export const historyRings = {
  hour: { stepMs: 10_000, places: 360 },
  day: { stepMs: 60_000, places: 1_440 },
  quarter: { stepMs: 900_000, places: 8_640 },
} as const;
export type HistoryRange = keyof typeof historyRings;
export const historyRanges = ["hour", "day", "quarter"] as const satisfies readonly HistoryRange[];

export const spanMs = (range: HistoryRange): number => historyRings[range].stepMs * historyRings[range].places;

/** Where a time belongs in a ring: the start of its step, and the place that the step has. */
export function placeIn(range: HistoryRange, timeMs: number): { readonly atMs: number; readonly place: number } {
  const { stepMs, places } = historyRings[range];
  const step = Math.floor(timeMs / stepMs);
  return { atMs: step * stepMs, place: step % places };
}

/**
 * How a value of two points becomes that of both. `mean`: weighted by the samples in which it was known. `most`: of
 * counts and ages of which too many are trouble. `later`: what holds until it changes. `sum`: of what happened.
 */
const rules = {
  samples: "sum",
  /** Those in which the pool's space was known, and those in which all was ready. */
  spaceSamples: "sum",
  readySamples: "sum",
  /** The time that the sums below are of. */
  elapsedMs: "sum",
  dataUsedBytes: "mean",
  dataTotalBytes: "later",
  metadataUsedBytes: "mean",
  metadataTotalBytes: "later",
  snapshots: "most",
  devices: "most",
  pendingRemovals: "most",
  failedRemovals: "most",
  waitingJobs: "most",
  oldestWaitingMs: "most",
  runningUnpacks: "most",
  /** Uncompressed. */
  unpackedBytes: "sum",
  unpackedLayers: "sum",
  restarts: "sum",
} as const;
export type HistoryValue = keyof typeof rules;
export const historyValues = Object.keys(rules) as HistoryValue[];
type ValueWith<Rule> = { [Value in HistoryValue]: (typeof rules)[Value] extends Rule ? Value : never }[HistoryValue];

/** What was known at a time, or in the step that begins then. Null: it was not known. */
export type HistoryPoint = { readonly [Value in ValueWith<"sum">]: number } & {
  readonly [Value in Exclude<HistoryValue, ValueWith<"sum">>]: number | null;
} & {
  readonly atMs: number;
  /** How many operations have failed, by their job and code: `unpack unavailable`. */
  readonly failures: Failures;
};
export type Failures = Readonly<Record<string, number>>;

/** Two points as one. The later one must not be before the other. */
export function together(earlier: HistoryPoint, later: HistoryPoint): HistoryPoint {
  const values = historyValues.map((value) => [value, merged(value, earlier, later)] as const);
  return {
    ...(Object.fromEntries(values) as unknown as HistoryPoint),
    atMs: earlier.atMs,
    failures: addedUp(earlier.failures, later.failures),
  };
}

function merged(value: HistoryValue, earlier: HistoryPoint, later: HistoryPoint): number | null {
  const [one, other] = [earlier[value], later[value]];
  if (one === null || other === null) return other ?? one;
  switch (rules[value]) {
    case "sum":
      return one + other;
    case "most":
      return Math.max(one, other);
    case "later":
      return other;
    case "mean": {
      const weight = earlier.spaceSamples + later.spaceSamples;
      return weight === 0 ? other : Math.round((one * earlier.spaceSamples + other * later.spaceSamples) / weight);
    }
  }
}

export function addedUp(one: Failures, other: Failures): Failures {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)]));
}

/** Points in the order of their times as at most one for each `stepMs`, which begins at a multiple of it. */
export function thinned(points: readonly HistoryPoint[], stepMs: number): HistoryPoint[] {
  const steps = Map.groupBy(points, ({ atMs }) => Math.floor(atMs / stepMs) * stepMs);
  return [...steps].flatMap(([atMs, [first, ...others]]) =>
    first === undefined ? [] : [{ ...others.reduce(together, first), atMs }],
  );
}
