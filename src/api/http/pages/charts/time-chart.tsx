// Room: api. Owns charts over time: lines and bars with axes, what was done meanwhile, a legend, and the numbers.
/** @jsxImportSource hono/jsx */

import { Grid, Marks, plot, TickTexts } from "./axes.tsx";
import type { ChartMark, MarkGroup } from "./mark-groups.ts";
import { Numbers, Picture } from "./picture.tsx";
import { type ChartPoint, extentOf } from "./runs.ts";
import { linear, ticksFor, type Unit } from "./scale.ts";
import { Bars, Line, type SeriesStyle } from "./series.tsx";
import { minuteTime, shortTime } from "./times.ts";

export interface Series {
  readonly label: string;
  /** Told apart without colours. At most one has bars. */
  readonly style: SeriesStyle;
  readonly values: readonly (number | null)[];
}

export interface TimeChartProps {
  /** Unlike any other on the page. */
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Between two points; what is further apart was not recorded. */
  readonly stepMs: number;
  /** The beginning of each step; `values` of all series are of these. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  /** What was done meanwhile; the page says what the numbers mean. */
  readonly marks?: readonly MarkGroup<ChartMark>[];
}

export function TimeChart(props: TimeChartProps) {
  const { id, title, unit, fromMs, untilMs, times, series, marks = [] } = props;
  const x = linear([fromMs, untilMs], [plot.left, plot.right]);
  const ticks = ticksFor(largestOf(series), unit);
  const y = linear([0, ticks.at(-1) ?? 1], [plot.bottom, plot.top]);
  const name = `${title}, ${unit.name}`;
  const { width, height } = plot;
  return (
    <figure class="chart">
      <figcaption>
        <b>{title}</b>, {unit.name}
        <Legend series={series} />
      </figcaption>
      <Picture id={id} title={name} description={described(props)} width={width} height={height}>
        <Grid fromMs={fromMs} untilMs={untilMs} ticks={ticks} x={x} y={y} />
        <Marks groups={marks} x={x} />
        <Drawn {...props} x={x} y={y} />
        <TickTexts unit={unit} fromMs={fromMs} untilMs={untilMs} ticks={ticks} x={x} y={y} />
      </Picture>
      <Numbers
        caption={name}
        columns={["Time (UTC)", ...series.map(({ label }) => label)]}
        rows={times.map((atMs, index) => [shortTime(atMs), ...series.map(({ values }) => textOf(values[index], unit))])}
      />
    </figure>
  );
}

const isKnown = (value: number | null | undefined): value is number =>
  value !== null && value !== undefined && Number.isFinite(value);

const textOf = (value: number | null | undefined, unit: Unit): string =>
  isKnown(value) ? unit.text(value) : "not known";

const pointsOf = (times: readonly number[], values: Series["values"]): ChartPoint[] =>
  times.map((atMs, index) => ({ atMs, value: values[index] ?? null }));

const largestOf = (series: readonly Series[]): number =>
  series
    .flatMap(({ values }) => values)
    .filter(isKnown)
    .reduce((most, value) => Math.max(most, value), 0);

/** For those who do not see it: of each series, between what it moves and where it ends. */
export function described({ unit, times, series, fromMs, untilMs, marks = [] }: TimeChartProps): string {
  const sentences = series.map(({ label, values }) => {
    const extent = extentOf(pointsOf(times, values));
    if (extent === undefined) return `${label}: nothing is known.`;
    return `${label}: from ${unit.text(extent.least)} to ${unit.text(extent.most)}, at last ${unit.text(extent.last.value)}.`;
  });
  const done = marks.length === 0 ? [] : [`${marks.length} marks show what was done.`];
  return [`From ${minuteTime(fromMs)} to ${minuteTime(untilMs)}.`, ...sentences, ...done].join(" ");
}

interface Scales {
  readonly x: (atMs: number) => number;
  readonly y: (value: number) => number;
}

function Drawn({ times, series, stepMs, x, y, untilMs }: TimeChartProps & Scales) {
  const drawn = series.map(({ style, values }) => ({ style, points: pointsOf(times, values) }));
  if (drawn.every(({ points }) => extentOf(points) === undefined)) {
    return (
      <text class="tick" x={plot.width / 2} y={(plot.top + plot.bottom) / 2} text-anchor="middle">
        Nothing was recorded.
      </text>
    );
  }
  const middle = (atMs: number) => x(Math.min(untilMs, atMs + stepMs / 2));
  return (
    <>
      {drawn.map(({ style, points }) =>
        style === "bars" ? (
          <Bars points={points} x={x} y={y} stepMs={stepMs} endMs={untilMs} />
        ) : (
          <Line points={points} x={middle} y={y} stepMs={stepMs} style={style} />
        ),
      )}
    </>
  );
}

const Legend = ({ series }: Pick<TimeChartProps, "series">) => (
  <ul class="legend">
    {series.map(({ label, style }) => (
      <li key={label}>
        <svg class="sample" viewBox="0 0 36 12" aria-hidden="true">
          {style === "bars" ? (
            <rect class="bar" x={13} y={1} width={10} height={11} />
          ) : (
            <line class={`line ${style}`} x1={0} x2={36} y1={6} y2={6} />
          )}
        </svg>{" "}
        {label}
      </li>
    ))}
  </ul>
);
