// Room: api. Owns the small chart of one series that stands beside words: a line between 0 and a top, without axes.
/** @jsxImportSource hono/jsx */

import { Numbers, Picture, rounded } from "./picture.tsx";
import { type ChartPoint, extentOf } from "./runs.ts";
import { linear, type Unit } from "./scale.ts";
import { Line } from "./series.tsx";
import { shortTime } from "./times.ts";

export interface SmallChartProps {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit & { readonly top: number };
  readonly fromMs: number;
  readonly untilMs: number;
  readonly stepMs: number;
  readonly points: readonly ChartPoint[];
}

const size = { width: 220, height: 56 } as const;

export function SmallChart({ id, title, unit, fromMs, untilMs, stepMs, points }: SmallChartProps) {
  const extent = extentOf(points);
  const x = linear([fromMs, untilMs], [4, size.width - 4]);
  const y = linear([0, unit.top], [size.height - 4, 4]);
  if (extent === undefined) return <p class="faint">Nothing was recorded.</p>;
  const description = `From ${unit.text(extent.least)} to ${unit.text(extent.most)}, at last ${unit.text(extent.last.value)}.`;
  return (
    <figure class="chart small">
      <Picture id={id} title={`${title}, ${unit.name}`} description={description} {...size} class="small">
        <line class="grid" x1={0} x2={size.width} y1={y(0)} y2={y(0)} />
        <line class="grid" x1={0} x2={size.width} y1={y(unit.top)} y2={y(unit.top)} />
        <Line
          points={points}
          x={(atMs) => x(Math.min(untilMs, atMs + stepMs / 2))}
          y={y}
          stepMs={stepMs}
          style="solid"
        />
        <circle
          class="dot solid"
          cx={rounded(x(Math.min(untilMs, extent.last.atMs + stepMs / 2)))}
          cy={rounded(y(extent.last.value))}
          r={3}
        />
      </Picture>
      <Numbers
        caption={`${title}, ${unit.name}`}
        columns={["Time (UTC)", unit.name]}
        rows={points.map(({ atMs, value }) => [shortTime(atMs), value === null ? "not known" : unit.text(value)])}
      />
    </figure>
  );
}
