// Room: api. Owns waterfalls: rows of bars along one time, each bar in the lane of its kind and with its pattern.
/** @jsxImportSource hono/jsx */
import { formatDuration } from "../../../../domain/units.ts";
import { Picture, rounded } from "./picture.tsx";
import { durationTicks, linear } from "./scale.ts";
import { PatternedBar, Patterns, type StageLook } from "./stage-looks.tsx";

export interface Bar {
  readonly look: StageLook;
  readonly startMs: number;
  /** Null: it is under way, and reaches to the end of the picture. */
  readonly endMs: number | null;
  /** On the bar itself, and for who points at it. */
  readonly about: string;
}

export interface Row {
  readonly label: string;
  readonly bars: readonly Bar[];
}

export interface WaterfallProps {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly rows: readonly Row[];
}

const width = 640;
const edge = 4;
const axisHeight = 30;
const labelHeight = 28;
const laneHeight = 12;
const laneGap = 2;
const rowGap = 12;
/** Less is not seen. */
const leastWidth = 2;

/** Those in use, the same for all rows: what is of one kind stands at the same height in each. */
const lanesOf = (rows: readonly Row[]): readonly number[] =>
  [...new Set(rows.flatMap(({ bars }) => bars.map(({ look }) => look.lane)))].sort((one, other) => one - other);

export function Waterfall({ id, title, description, fromMs, untilMs, rows }: WaterfallProps) {
  const spanMs = Math.max(1, untilMs - fromMs);
  const x = linear([fromMs, fromMs + spanMs], [edge, width - edge]);
  const lanes = lanesOf(rows);
  const tops: number[] = [];
  let height = axisHeight;
  for (const { bars } of rows) {
    tops.push(height);
    height += labelHeight + (bars.length === 0 ? 0 : lanes.length * (laneHeight + laneGap)) + rowGap;
  }
  const ticks = durationTicks(spanMs);
  return (
    <Picture id={id} title={title} description={description} width={width} height={height} class="waterfall">
      <Patterns id={id} />
      {ticks.map((ms, index) => (
        <>
          <line
            class="grid"
            x1={rounded(x(fromMs + ms))}
            x2={rounded(x(fromMs + ms))}
            y1={axisHeight - 6}
            y2={height}
          />
          <text class="tick" {...anchored(rounded(x(fromMs + ms)), index)} y={18}>
            {ms === 0 ? "0" : formatDuration(ms)}
          </text>
        </>
      ))}
      {rows.map(({ label, bars }, index) => {
        const top = tops[index] ?? 0;
        return (
          <g>
            <text class="label" x={edge} y={top + labelHeight - 7}>
              {label}
            </text>
            {bars.map(({ look, startMs, endMs, about }) => {
              const left = x(Math.max(fromMs, startMs));
              const right = Math.max(left + leastWidth, x(Math.min(fromMs + spanMs, endMs ?? untilMs)));
              const place = {
                x: rounded(Math.min(left, width - edge - leastWidth)),
                y: top + labelHeight + lanes.indexOf(look.lane) * (laneHeight + laneGap),
                width: rounded(right - left),
                height: laneHeight,
              };
              return (
                <g>
                  <title>{about}</title>
                  <PatternedBar id={id} look={look} {...place} isOpen={endMs === null} />
                </g>
              );
            })}
          </g>
        );
      })}
    </Picture>
  );
}

/** The first and the last stay within the picture. */
function anchored(at: number, index: number) {
  if (index === 0) return { x: 0, "text-anchor": "start" };
  return at > width - 50 ? { x: width, "text-anchor": "end" } : { x: at, "text-anchor": "middle" };
}
