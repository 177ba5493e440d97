// Room: api. Owns how it stands on pages how full something is, and when it will be full.
/** @jsxImportSource hono/jsx */
import { formatSize } from "../../../domain/units.ts";
import { fullShare } from "../../../domain/verdict-facts.ts";
import { roughly } from "../../../domain/verdict-trouble.ts";
import type { Output } from "../../../service/api.ts";
import { Sign, type SignKind } from "./sign.tsx";

export interface Fill {
  readonly usedBytes: number;
  readonly totalBytes: number;
}
export type Trend = Output<"history">["trend"]["data"];

export const percentOf = ({ usedBytes, totalBytes }: Fill): number =>
  totalBytes === 0 ? 0 : (100 * usedBytes) / totalBytes;

const nearlyFull = 90;
const dayMs = 86_400_000;

/** As the verdict judges it: see domain/verdict-space.ts. */
function signOf(fill: Fill, leftMs: number): SignKind {
  if (percentOf(fill) >= 100 * fullShare) return "bad";
  return percentOf(fill) >= nearlyFull || leftMs <= dayMs ? "warn" : "good";
}

export interface FillProps {
  readonly fill: Fill | null | undefined;
  readonly trend: Trend | undefined;
  readonly nowMs: number;
}

/** "62 % of 20 GiB, full in 3 h" */
export function FillText({ fill, trend, nowMs }: FillProps) {
  if (fill === null || fill === undefined) return <span class="faint">not known</span>;
  const leftMs = trend === null || trend === undefined ? Number.POSITIVE_INFINITY : trend.fullAtMs - nowMs;
  const isFull = percentOf(fill) >= 100 * fullShare;
  return (
    <>
      <Sign of={signOf(fill, leftMs)}>{`${Math.round(percentOf(fill))} %`}</Sign> of {formatSize(fill.totalBytes)}
      {isFull || !Number.isFinite(leftMs) ? null : (
        <>
          , <b>full in {roughly(leftMs)}</b>
        </>
      )}
      {isFull ? ", full" : null}
    </>
  );
}
