// Room: unpack. Owns how a layer shows in traces: one span for it, and one for each stage, whichever process it was in.
import { inWork, workEnded } from "../domain/work.ts";
import type { ImageLayer, LayerBlob } from "../images/image.ts";
import type { AppliedLayer } from "./layer.ts";
import { stageOfPhase } from "./layer-times.ts";
import type { Phase } from "./phases.ts";

export const inLayer = <T>({ digest, blob }: ImageLayer<LayerBlob>, unpack: () => Promise<T>): Promise<T> =>
  inWork(
    { name: "layer", fields: { layer: digest }, attributes: { "snapmill.compressed_bytes": blob.lengthBytes } },
    unpack,
  );

/** A writer makes no spans itself, since it reads what strangers have packed: it says when each of its phases was. */
export function tellPhases(applied: AppliedLayer): AppliedLayer {
  for (const [phase, { startMs, endMs }] of Object.entries(applied.periods)) {
    const spentMs = applied.spentMs[phase as Phase];
    // Phases take turns: what of the span's time was spent in this one.
    workEnded({
      name: stageOfPhase[phase as Phase],
      startMs,
      endMs,
      attributes: { "snapmill.spent_ms": Math.round(spentMs) },
    });
  }
  return { bytes: applied.bytes, entries: applied.entries, spentMs: applied.spentMs, periods: applied.periods };
}
