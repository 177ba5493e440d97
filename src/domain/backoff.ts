// Room: domain. Owns back-off: the pause after a failure, which grows with each failure in a row.

export interface Backoff {
  /** The pause after the first failure; it doubles with each that follows. */
  readonly firstMs: number;
  /** No pause is longer. */
  readonly capMs: number;
}

/** The pause after the `failures`th failure in a row (1, 2, ...). */
export const pauseAfterMs = ({ firstMs, capMs }: Backoff, failures: number): number =>
  Math.min(firstMs * 2 ** (failures - 1), capMs);

/** The same with jitter: half of it is random, so that callers that failed together do not retry together. */
export const spreadPauseAfterMs = (backoff: Backoff, failures: number, chance = Math.random()): number =>
  pauseAfterMs(backoff, failures) * (0.5 + chance / 2);
