// Room: unpack. Owns the measurement of how long each phase of a layer takes, and from when to when.

/**
 * `waiting`: for decompressed bytes (reading, decompression and hashing, unless the blob thread was ahead). `writing`:
 * parsing the tar and making its files. `flush`: the syncfs at the end. `mounting`: mounting and unmounting, and what is done
 * between two layers on one mount: bringing it to rest, copying the device, and waking it.
 */
export const phases = ["waiting", "writing", "flush", "mounting"] as const;
export type Phase = (typeof phases)[number];
/** Milliseconds by phase. */
export type PhasesMs = Readonly<Record<Phase, number>>;

/** From the first time in a phase to the last: phases take turns. Milliseconds since 1970. */
export interface PhasePeriod {
  readonly startMs: number;
  readonly endMs: number;
}
export type PhasePeriods = Readonly<Partial<Record<Phase, PhasePeriod>>>;

/** What a clock has measured so far. */
export interface PhaseTimes {
  readonly spentMs: PhasesMs;
  readonly periods: PhasePeriods;
}

/** Adds the time since the last call of `ended` to the phase that it names. */
export class PhaseClock implements PhaseTimes {
  readonly #spentMs: Record<Phase, number> = { waiting: 0, writing: 0, flush: 0, mounting: 0 };
  readonly #periods: Partial<Record<Phase, PhasePeriod>> = {};
  #sinceMs = performance.now();

  ended(phase: Phase): void {
    const nowMs = performance.now();
    this.#spentMs[phase] += nowMs - this.#sinceMs;
    const startMs = this.#periods[phase]?.startMs ?? performance.timeOrigin + this.#sinceMs;
    this.#periods[phase] = { startMs, endMs: performance.timeOrigin + nowMs };
    this.#sinceMs = nowMs;
  }

  get spentMs(): PhasesMs {
    return { ...this.#spentMs };
  }

  get periods(): PhasePeriods {
    return { ...this.#periods };
  }
}
