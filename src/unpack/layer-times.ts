// Room: unpack. Owns the times of a layer's stages, on both sides of the writer, as they become known.
import { type LayerStage, layerStages, type StageTime } from "../domain/layer-stages.ts";
import type { Phase, PhaseTimes } from "./phases.ts";

/** What each of the writer's phases is of a layer. While it waits, its second thread reads and decompresses. */
export const stageOfPhase: Readonly<Record<Phase, LayerStage>> = {
  waiting: "inflate",
  writing: "write",
  flush: "flush",
  mounting: "mount",
};

export class LayerTimes {
  readonly #times = new Map<LayerStage, StageTime>();

  /** Times `work` as a stage, however it ends. */
  async during<T>(stage: LayerStage, work: () => Promise<T>): Promise<T> {
    this.begin(stage);
    try {
      return await work();
    } finally {
      this.end(stage);
    }
  }

  begin(stage: LayerStage): void {
    this.#times.set(stage, { stage, startMs: Date.now(), endMs: null, spentMs: null });
  }

  /** Nothing, if it did not begin. */
  end(stage: LayerStage): void {
    const begun = this.#times.get(stage);
    if (begun === undefined || begun.endMs !== null) return;
    const endMs = Date.now();
    this.#times.set(stage, { ...begun, endMs, spentMs: Math.max(0, endMs - begun.startMs) });
  }

  /** As the writer has measured its phases so far. */
  take({ spentMs, periods }: PhaseTimes, isFlushing = false): void {
    for (const [phase, { startMs, endMs }] of Object.entries(periods)) {
      const stage = stageOfPhase[phase as Phase];
      const [start, end, spent] = [startMs, endMs, spentMs[phase as Phase]].map(Math.round);
      this.#times.set(stage, { stage, startMs: start ?? 0, endMs: end ?? null, spentMs: spent ?? null });
    }
    if (isFlushing) this.begin("flush");
  }

  /** Those that have begun, in their order. */
  get list(): readonly StageTime[] {
    return layerStages.flatMap((stage) => this.#times.get(stage) ?? []);
  }
}
