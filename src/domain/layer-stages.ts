// Room: domain. Owns the stages of a layer on its way into the pool, and when each of them was.

/** The closed set, in the order in which they begin. */
export const layerStages = [
  /** Another unpack has the layer's lock. */
  "wait",
  /** The pool makes its snapshot. */
  "prepare",
  /** The download from a registry; decompressing and writing go on meanwhile. */
  "fetch",
  "mount",
  /** Waiting for decompressed bytes: reading, decompressing and hashing. */
  "inflate",
  /** Parsing the tar and making its files. */
  "write",
  "flush",
  /** The pool commits the snapshot. */
  "commit",
] as const;
export type LayerStage = (typeof layerStages)[number];

/** When a stage was. Stages take turns, so it may have taken less than from its start to its end. */
export interface StageTime {
  readonly stage: LayerStage;
  /** Since 1970. */
  readonly startMs: number;
  /** Null: it has not ended. */
  readonly endMs: number | null;
  /** Null: it has not ended. */
  readonly spentMs: number | null;
}

/**
 * The same for a progress report, of which there are many: from the start of the first stage, `[start, end, spent]` of each
 * in milliseconds.
 */
export interface PackedStages {
  readonly atMs: number;
  readonly ms: Readonly<Partial<Record<LayerStage, readonly [number, number | null, number | null]>>>;
}

/** Undefined: no stage has begun. */
export function packStages(times: readonly StageTime[]): PackedStages | undefined {
  if (times.length === 0) return undefined;
  const atMs = Math.min(...times.map(({ startMs }) => startMs));
  const packed = times.map(({ stage, startMs, endMs, spentMs }) => {
    return [stage, [startMs - atMs, endMs === null ? null : endMs - atMs, spentMs]] as const;
  });
  return { atMs, ms: Object.fromEntries(packed) as PackedStages["ms"] };
}

/** In the order in which they begin. */
export const unpackStages = (packed: PackedStages | undefined): StageTime[] =>
  layerStages.flatMap((stage) => {
    const found = packed?.ms[stage];
    if (packed === undefined || found === undefined) return [];
    const [start, end, spentMs] = found;
    return [{ stage, startMs: packed.atMs + start, endMs: end === null ? null : packed.atMs + end, spentMs }];
  });
