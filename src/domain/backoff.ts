// Room: domain. Owns back-off: how long to wait after a failure, longer after each in a row.

export interface Backoff {
  /** The pause after the first failure; it doubles with each that follows. */
  readonly firstMs: number;
  /** No pause is longer. */
  readonly capMs: number;
}

/** The pause after the `failures`th failure in a row (1, 2, ...). */
export const pauseAfterMs = ({ firstMs, capMs }: Backoff, failures: number): number =>
  Math.min(firstMs * 2 ** (failures - 1), capMs);

/** The same, half of it fixed and half of it chance, so that those who failed together do not retry together. */
export const spreadPauseAfterMs = (backoff: Backoff, failures: number, chance = Math.random()): number =>
  pauseAfterMs(backoff, failures) * (0.5 + chance / 2);
