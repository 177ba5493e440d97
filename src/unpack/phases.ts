// Room: unpack. Owns the account of where a layer's time goes.

/**
 * `waiting`: for decompressed bytes that were not ready yet (reading, decompression and digests, as far as the blob
 * thread did not run ahead). `writing`: reading the tar and making its files. `flush`: the syncfs at the end.
 * `mounting`: mounting and unmounting.
 */
export const phases = ["waiting", "writing", "flush", "mounting"] as const;
export type Phase = (typeof phases)[number];
/** Milliseconds by phase. */
export type PhasesMs = Readonly<Record<Phase, number>>;

/** Counts the time between two calls of `ended` for the phase that it names. */
export class PhaseClock {
  readonly #spentMs: Record<Phase, number> = { waiting: 0, writing: 0, flush: 0, mounting: 0 };
  #sinceMs = performance.now();

  ended(phase: Phase): void {
    const nowMs = performance.now();
    this.#spentMs[phase] += nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
  }

  get spentMs(): PhasesMs {
    return { ...this.#spentMs };
  }
}
