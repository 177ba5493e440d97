// Room: api. Owns treemaps: areas in proportion to sizes, told apart by pattern and name, and the same as a table.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";
import { Numbers, Picture, rounded } from "./picture.tsx";
import { type Placed, squarify } from "./squarify.ts";

/** Each has a pattern of its own; see charts.css. */
export const areaKinds = ["plain", "hatched", "dotted", "crossed"] as const;
export type AreaKind = (typeof areaKinds)[number];

export interface Area {
  readonly kind: AreaKind;
  readonly name: string;
  /** On the area itself, where it has room. */
  readonly shortName: string;
  readonly size: number;
  /** In the table. */
  readonly link: Child;
}

export interface TreemapProps {
  readonly id: string;
  readonly title: string;
  readonly areas: readonly Area[];
  readonly sizeText: (size: number) => string;
  readonly kindNames: Readonly<Record<AreaKind, string>>;
}

const map = { width: 640, height: 360 } as const;

export function Treemap({ id, title, areas, sizeText, kindNames }: TreemapProps) {
  const total = areas.reduce((sum, { size }) => sum + Math.max(0, size), 0);
  const placed = squarify(areas, { x: 0, y: 0, ...map });
  const sorted = areas.toSorted((one, other) => other.size - one.size);
  const largest = sorted.slice(0, 3).map(({ name, size }) => `${name}: ${sizeText(size)}`);
  const share = (size: number) => (total === 0 ? "–" : `${Math.round((100 * size) / total)} %`);
  const kinds = areaKinds.filter((kind) => areas.some((area) => area.kind === kind));
  return (
    <figure class="chart treemap">
      <figcaption>
        <b>{title}</b>
        <ul class="legend">
          {kinds.map((kind) => (
            <li key={kind}>
              <svg class="sample" viewBox="0 0 36 12" aria-hidden="true">
                <Patterned id={id} kind={kind} x={1} y={1} width={34} height={10} />
              </svg>{" "}
              {kindNames[kind]}
            </li>
          ))}
        </ul>
      </figcaption>
      <Picture
        id={id}
        title={title}
        description={`${areas.length} areas, ${sizeText(total)} together. The largest: ${largest.join("; ")}.`}
        {...map}
      >
        <Patterns id={id} />
        {placed.map((area) => (
          <AreaShape id={id} area={area} text={sizeText(area.item.size)} />
        ))}
      </Picture>
      <Numbers
        caption={title}
        columns={["What", "Kind", "Space", "Share"]}
        rows={sorted.map(({ link, kind, size }) => [link, kindNames[kind], sizeText(size), share(size)])}
      />
    </figure>
  );
}

interface PatternedProps {
  readonly id: string;
  readonly kind: AreaKind;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The pattern lies on the colour. */
const Patterned = ({ id, kind, ...place }: PatternedProps) => (
  <>
    <rect class={`area ${kind}`} {...place} />
    {kind === "plain" ? null : <rect class="pattern" {...place} fill={`url(#${id}-${kind})`} />}
  </>
);

const Patterns = ({ id }: { readonly id: string }) => (
  <defs>
    <pattern id={`${id}-hatched`} width={8} height={8} patternUnits="userSpaceOnUse">
      <path class="stroke" d="M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4" />
    </pattern>
    <pattern id={`${id}-dotted`} width={8} height={8} patternUnits="userSpaceOnUse">
      <circle class="point" cx={4} cy={4} r={1.5} />
    </pattern>
    <pattern id={`${id}-crossed`} width={10} height={10} patternUnits="userSpaceOnUse">
      <path class="stroke" d="M0,5 h10 M5,0 v10" />
    </pattern>
  </defs>
);

/** Of the letters as they are written where there is little room; see charts.css. */
const letter = { width: 12.5, height: 26 } as const;

function AreaShape({ id, area, text }: { readonly id: string; readonly area: Placed<Area>; readonly text: string }) {
  const { x, y, width, height, item } = area;
  const place = {
    x: rounded(x + 1),
    y: rounded(y + 1),
    width: rounded(Math.max(0.5, width - 2)),
    height: rounded(Math.max(0.5, height - 2)),
  };
  const letters = Math.floor((width - 12) / letter.width);
  const isLabelled = letters >= 4 && height >= letter.height + 6;
  const hasRoomForSize = isLabelled && text.length <= letters && height >= 2 * letter.height + 6;
  return (
    <g>
      <title>{`${item.name}: ${text}`}</title>
      <Patterned id={id} kind={item.kind} {...place} />
      {isLabelled ? (
        <text class="label" x={rounded(x + 7)} y={rounded(y + letter.height)}>
          {cut(item.shortName, letters)}
        </text>
      ) : null}
      {hasRoomForSize ? (
        <text class="label" x={rounded(x + 7)} y={rounded(y + 2 * letter.height)}>
          {text}
        </text>
      ) : null}
    </g>
  );
}

const cut = (text: string, letters: number): string => {
  const all = Array.from(text);
  return all.length <= letters ? text : `${all.slice(0, letters - 1).join("")}…`;
};
