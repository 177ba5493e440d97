// Room: api. Owns what of a series is one line: points that follow each other, with gaps where nothing was recorded.

export interface ChartPoint {
  readonly atMs: number;
  /** Null: not known. */
  readonly value: number | null;
}

export interface KnownPoint extends ChartPoint {
  readonly value: number;
}

const isKnown = (point: ChartPoint): point is KnownPoint => point.value !== null && Number.isFinite(point.value);

/** A step may be late, but one that is left out is a gap. */
const latestShare = 1.5;

/** Runs of points that are known and not more than a step apart, in the order of time. */
export function runsOf(points: readonly ChartPoint[], stepMs: number): readonly (readonly KnownPoint[])[] {
  const runs: KnownPoint[][] = [];
  let before: ChartPoint | undefined;
  for (const point of points) {
    const follows = before !== undefined && isKnown(before) && point.atMs - before.atMs <= latestShare * stepMs;
    if (isKnown(point)) {
      const run = follows ? runs.at(-1) : undefined;
      if (run === undefined) runs.push([point]);
      else run.push(point);
    }
    before = point;
  }
  return runs;
}

/** What is known of a series; undefined: nothing. */
export function extentOf(points: readonly ChartPoint[]) {
  const known = points.filter(isKnown);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const values = known.map(({ value }) => value);
  const least = values.reduce((one, other) => Math.min(one, other));
  const most = values.reduce((one, other) => Math.max(one, other));
  return { least, most, first, last };
}
