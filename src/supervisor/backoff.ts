// Room: supervisor. Owns how long to wait before a process that died is started again.

const firstMs = 100;
const capMs = 30_000;

/** A process that lived this long has recovered: its next death counts as its first. */
export const recoveredAfterMs = 30_000;

/** The pause after the `deaths`th death in a row (1, 2, ...): doubled each time, up to half a minute. */
export const restartDelayMs = (deaths: number): number => Math.min(firstMs * 2 ** (deaths - 1), capMs);
