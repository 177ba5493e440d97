// Room: api. Owns what of a chart over time is not data: where things stand, its axes, and the marks of what was done.
/** @jsxImportSource hono/jsx */
import type { ChartMark, MarkGroup } from "./mark-groups.ts";
import { rounded } from "./picture.tsx";
import { timeTicks, type Unit } from "./scale.ts";

export const plot = { width: 640, height: 236, left: 6, right: 634, top: 46, bottom: 204 } as const;

export interface AxesProps {
  readonly unit: Unit;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly ticks: readonly number[];
  readonly x: (atMs: number) => number;
  readonly y: (value: number) => number;
}

/** What lies under the data. */
export const Grid = ({ fromMs, untilMs, ticks, x, y }: Omit<AxesProps, "unit">) => (
  <>
    {ticks.map((tick) => (
      <line class="grid" x1={plot.left} x2={plot.right} y1={rounded(y(tick))} y2={rounded(y(tick))} />
    ))}
    {timeTicks(fromMs, untilMs).map(({ atMs }) => (
      <line class="grid" x1={rounded(x(atMs))} x2={rounded(x(atMs))} y1={plot.bottom} y2={plot.bottom + 6} />
    ))}
  </>
);

/** The values stand on their lines and over the data, so that they take no width from the chart. */
export const TickTexts = ({ unit, fromMs, untilMs, ticks, x, y }: AxesProps) => (
  <>
    {ticks.map((tick) => (
      <text class="tick" x={plot.left} y={rounded(y(tick) - 3)}>
        {unit.text(tick)}
      </text>
    ))}
    {timeTicks(fromMs, untilMs).map(({ atMs, text }) => (
      <text class="tick" x={rounded(x(atMs))} y={plot.height - 8} text-anchor={anchorAt(x(atMs))}>
        {text}
      </text>
    ))}
  </>
);

/** At the edges a text would be cut off. */
function anchorAt(x: number): "start" | "middle" | "end" {
  if (x < plot.left + 36) return "start";
  return x > plot.right - 36 ? "end" : "middle";
}

/** The number of a mark needs so much, also where it is written larger. */
const markWidth = 40;

/** What is less apart is one mark. */
export const marksApartMs = (fromMs: number, untilMs: number): number =>
  ((untilMs - fromMs) * markWidth) / (plot.right - plot.left);

export interface MarksProps {
  readonly groups: readonly MarkGroup<ChartMark>[];
  readonly x: (atMs: number) => number;
}

export const Marks = ({ groups, x }: MarksProps) => (
  <>
    {groups.map(({ number, atMs }) => (
      <>
        <line class="mark" x1={rounded(x(atMs))} x2={rounded(x(atMs))} y1={24} y2={plot.bottom} />
        <text class="mark" x={rounded(x(atMs))} y={20} text-anchor={anchorAt(x(atMs))}>
          {number}
        </text>
      </>
    ))}
  </>
);
