// Room: api. Owns the scales of charts: where a value stands, and which values are written on an axis.

/** Where `value` of the range `from` stands in the range `to`. Of a range that is one value, it stands in the middle. */
export const linear =
  ([from, until]: readonly [number, number], [start, end]: readonly [number, number]) =>
  (value: number): number =>
    from === until ? (start + end) / 2 : start + ((value - from) / (until - from)) * (end - start);

/** Steps between round numbers: of those that count by thousands, and of those that count by 1,024. */
const roundSteps = {
  1000: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
  1024: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
} as const;

export interface Unit {
  /** On the axis: "% in use". */
  readonly name: string;
  readonly text: (value: number) => string;
  readonly base: keyof typeof roundSteps;
  /** What is counted has no halves. */
  readonly isWhole: boolean;
  /** Where the axis ends; undefined: above the largest value. */
  readonly top?: number;
}

/** More would stand on each other on a telephone. */
const mostSteps = 3;

/** Round values from 0 to at least `largest`, four at most, two at least. Neither infinite nor negative values count. */
export function ticksFor(largest: number, { base, isWhole, top }: Pick<Unit, "base" | "isWhole" | "top">): number[] {
  const wanted = top ?? (Number.isFinite(largest) ? Math.max(0, largest) : 0);
  const step = stepFor(wanted / mostSteps, base, isWhole);
  const count = Math.max(1, Math.ceil(wanted / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => Math.min(index * step, top ?? Number.POSITIVE_INFINITY));
}

function stepFor(least: number, base: Unit["base"], isWhole: boolean): number {
  if (least <= 0) return 1;
  const power = base ** Math.floor(Math.log(least) / Math.log(base));
  const step = power * (roundSteps[base].find((each) => each * power >= least * (1 - 1e-9)) ?? base);
  return isWhole ? Math.max(1, step) : step;
}

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const timeSteps = [
  ...[1, 5, 10, 15, 30].map((minutes) => minutes * minuteMs),
  ...[1, 2, 3, 6, 12].map((hours) => hours * hourMs),
  ...[1, 2, 7, 14, 30, 90, 365].map((days) => days * dayMs),
];

export interface TimeTick {
  readonly atMs: number;
  /** In UTC: "14:30", or "11-28" where a step is a day or more. */
  readonly text: string;
}

/** Round times in a range, `most` at most. */
export function timeTicks(fromMs: number, untilMs: number, most = 5): TimeTick[] {
  const stepMs = timeSteps.find((each) => (untilMs - fromMs) / each <= most) ?? 365 * dayMs;
  const first = Math.ceil(fromMs / stepMs) * stepMs;
  const count = Math.max(0, Math.floor((untilMs - first) / stepMs) + 1);
  return Array.from({ length: Math.min(count, most) }, (_, index) => first + index * stepMs).map((atMs) => {
    const iso = new Date(atMs).toISOString();
    return { atMs, text: stepMs >= dayMs ? iso.slice(5, 10) : iso.slice(11, 16) };
  });
}

const durationSteps = [
  ...[1, 2, 5].flatMap((ms) => [ms, 10 * ms, 100 * ms]),
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * secondMs),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * minuteMs),
  ...[1, 2, 3, 6, 12].map((hours) => hours * hourMs),
].sort((one, other) => one - other);

/** Round durations from 0 to at most `spanMs`, six at most. */
export function durationTicks(spanMs: number): number[] {
  const stepMs = durationSteps.find((each) => spanMs / each <= 5) ?? Math.ceil(spanMs / 5 / dayMs) * dayMs;
  return Array.from({ length: Math.floor(spanMs / stepMs) + 1 }, (_, index) => index * stepMs);
}
