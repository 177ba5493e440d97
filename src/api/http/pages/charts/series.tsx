// Room: api. Owns how one series is drawn: as lines between what is known, or as bars.
/** @jsxImportSource hono/jsx */
import { rounded } from "./picture.tsx";
import { type ChartPoint, runsOf } from "./runs.ts";

export type LineStyle = "solid" | "dashed" | "dotted";
export type SeriesStyle = LineStyle | "bars";

interface SeriesProps {
  readonly points: readonly ChartPoint[];
  readonly x: (atMs: number) => number;
  readonly y: (value: number) => number;
  readonly stepMs: number;
}

/** A point that stands alone is a dot: a line of one point is not seen. */
export const Line = ({ points, x, y, stepMs, style }: SeriesProps & { readonly style: LineStyle }) => (
  <>
    {runsOf(points, stepMs).map((run) => {
      const places = run.map(({ atMs, value }) => `${rounded(x(atMs))},${rounded(y(value))}`);
      const [first] = run;
      return run.length === 1 && first !== undefined ? (
        <circle class={`dot ${style}`} cx={rounded(x(first.atMs))} cy={rounded(y(first.value))} r={3} />
      ) : (
        <polyline class={`line ${style}`} points={places.join(" ")} />
      );
    })}
  </>
);

/** The space between two bars. */
const apart = 1;

/** `endMs`: none goes further. */
export const Bars = ({ points, x, y, stepMs, endMs }: SeriesProps & { readonly endMs: number }) => (
  <>
    {points.map(({ atMs, value }) => {
      if (value === null || !Number.isFinite(value) || value <= 0) return null;
      const [left, right] = [x(atMs), x(Math.min(endMs, atMs + stepMs))];
      const width = Math.max(1, right - left - apart);
      return (
        <rect
          class="bar"
          x={rounded(left)}
          y={rounded(y(value))}
          width={rounded(width)}
          height={rounded(y(0) - y(value))}
        />
      );
    })}
  </>
);
