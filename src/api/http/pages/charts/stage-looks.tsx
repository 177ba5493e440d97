// Room: api. Owns how the stages of a layer look in pictures: a lane, a pattern and a colour of their own, and the legend.
/** @jsxImportSource hono/jsx */
import type { LayerStage } from "../../../../domain/layer-stages.ts";

const patternNames = ["plain", "rising", "falling", "bars", "rows", "dotted", "crossed", "checked"] as const;
type PatternName = (typeof patternNames)[number];

export interface StageLook {
  /** From the top of its row; what is in one does not overlap. */
  readonly lane: number;
  readonly pattern: PatternName;
  /** One of charts.css. */
  readonly colour: "idle" | "pool" | "read" | "work" | "make";
}

/** No two have the same pattern. */
export const stageLooks: Readonly<Record<LayerStage, StageLook>> = {
  wait: { lane: 0, pattern: "dotted", colour: "idle" },
  prepare: { lane: 0, pattern: "plain", colour: "pool" },
  flush: { lane: 0, pattern: "rows", colour: "make" },
  commit: { lane: 0, pattern: "crossed", colour: "pool" },
  // Ends with the unmount, after all but the commit.
  mount: { lane: 1, pattern: "bars", colour: "idle" },
  fetch: { lane: 2, pattern: "rising", colour: "read" },
  inflate: { lane: 3, pattern: "falling", colour: "work" },
  write: { lane: 4, pattern: "checked", colour: "make" },
};

const stageNames: Readonly<Record<LayerStage, string>> = {
  wait: "wait (another unpack has the layer)",
  prepare: "prepare (its snapshot)",
  mount: "mount, to unmount",
  flush: "flush",
  commit: "commit",
  fetch: "fetch",
  inflate: "inflate",
  write: "write (its files)",
};

export interface PatternedBarProps {
  readonly id: string;
  readonly look: StageLook;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** It is under way. */
  readonly isOpen?: boolean;
}

/** The pattern lies on the colour. */
export const PatternedBar = ({ id, look: { pattern, colour }, isOpen = false, ...place }: PatternedBarProps) => (
  <>
    <rect class={`stage ${colour}${isOpen ? " open" : ""}`} {...place} />
    {pattern === "plain" ? null : <rect {...place} fill={`url(#${id}-${pattern})`} />}
  </>
);

const tile = 8;
/** In a tile. */
const strokes: Readonly<Record<Exclude<PatternName, "plain" | "dotted">, string>> = {
  rising: "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4",
  falling: "M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4",
  bars: "M4,0 v8",
  rows: "M0,2 h8 M0,6 h8",
  crossed: "M0,0 l8,8 M0,8 l8,-8",
  checked: "M0,4 h8 M4,0 v8",
};

export const Patterns = ({ id }: { readonly id: string }) => (
  <defs>
    {Object.entries(strokes).map(([name, path]) => (
      <pattern id={`${id}-${name}`} width={tile} height={tile} patternUnits="userSpaceOnUse">
        <path class="stroke" d={path} />
      </pattern>
    ))}
    <pattern id={`${id}-dotted`} width={tile} height={tile} patternUnits="userSpaceOnUse">
      <circle class="point" cx={4} cy={4} r={1.5} />
    </pattern>
  </defs>
);

/** `id`: that of the picture, whose patterns it shows. */
export const StageLegend = ({ id, stages }: { readonly id: string; readonly stages: readonly LayerStage[] }) => (
  <ul class="legend">
    {stages.map((stage) => (
      <li key={stage}>
        <svg class="sample" viewBox="0 0 36 12" aria-hidden="true">
          <PatternedBar id={id} look={stageLooks[stage]} x={1} y={1} width={34} height={10} />
        </svg>{" "}
        {stageNames[stage]}
      </li>
    ))}
  </ul>
);
