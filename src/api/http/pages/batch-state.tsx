// Room: api. Owns how batches and their items stand on pages: states as signs with words, progress, time left.
/** @jsxImportSource hono/jsx */
import { type BatchState, type ItemState, isBatchOver, itemCount } from "../../../domain/batches.ts";
import { roughly } from "../../../domain/verdict-trouble.ts";
import type { Output } from "../../../service/api.ts";
import { Sign, type SignKind } from "./sign.tsx";

export type Batch = Output<"batch">;

const batchSigns: Readonly<Record<BatchState, SignKind>> = {
  running: "busy",
  cancelling: "busy",
  cancelled: "none",
  done: "good",
  failed: "bad",
};

const itemSigns: Readonly<Record<ItemState, SignKind>> = {
  pending: "none",
  running: "busy",
  done: "good",
  present: "good",
  failed: "bad",
  cancelled: "none",
};

export const BatchSign = ({ state }: { readonly state: BatchState }) => <Sign of={batchSigns[state]}>{state}</Sign>;

export const ItemSign = ({ state }: { readonly state: ItemState }) => <Sign of={itemSigns[state]}>{state}</Sign>;

/** "12 of 40 ended, 3 failed". */
export function progressOf({ counts }: Pick<Batch, "counts">): string {
  const all = itemCount(counts);
  const failed = counts.failed === 0 ? "" : `, ${counts.failed} failed`;
  return `${all - counts.pending - counts.running} of ${all} ended${failed}`;
}

/** From the pace so far; undefined: it is over, or nothing has ended yet. */
export function timeLeft({ state, counts, createdAtMs }: Batch, nowMs: number): string | undefined {
  const open = counts.pending + counts.running;
  const ended = itemCount(counts) - open;
  if (isBatchOver(state) || open === 0 || ended === 0) return undefined;
  return roughly(((nowMs - createdAtMs) / ended) * open);
}
