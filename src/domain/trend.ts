// Room: domain. Owns the trend of a pool's space: when it will be full if it goes on as it does.
import type { HistoryPoint } from "./history.ts";

export interface Fill {
  readonly atMs: number;
  readonly usedBytes: number;
  readonly totalBytes: number;
}

export interface Trend {
  /** When it is full at the present rate; at the earliest now. */
  readonly fullAtMs: number;
  readonly bytesPerSecond: number;
  /** How much of the variance the straight line explains, 0 to 1. */
  readonly fit: number;
}

/** The last hour, or the last quarter of it: a pool that has just begun to fill has no line through the hour. */
const windowsMs = [3_600_000, 900_000] as const;
/** Two minutes of the finest ring. */
const fewest = 12;
/** A line that explains less of the variance says nothing. */
const leastFit = 0.6;
/** Growth that is lost in the noise of flushes, and of a block more or less: of the whole, within a window. */
const leastGrowth = 0.001;
/** Somebody has made space, of the whole: how it grew before says nothing of what comes. */
const freedShare = 0.05;
/** What is further away is no forecast. */
const horizonMs = 90 * 86_400_000;

/**
 * A straight line by least squares through the fill of the last hour (or, if it says nothing, of the last 15 minutes) up to
 * `nowMs`, followed until it meets the size that the pool has now. Undefined when the pool does not grow, when there are
 * less than two minutes of samples, when the line explains less than 60 % of the variance or is a rise of less than a
 * thousandth of the pool, and when it is full in more than 90 days. Points before a twentieth of the pool was freed and points after `nowMs` (the clock was set back) do not
 * count.
 */
export function trendOf(fills: readonly Fill[], nowMs: number): Trend | undefined {
  for (const windowMs of windowsMs) {
    const found = trendWithin(sinceFreed(fills.filter(({ atMs }) => atMs > nowMs - windowMs && atMs <= nowMs)), nowMs);
    if (found !== undefined) return found;
  }
  return undefined;
}

function sinceFreed(fills: readonly Fill[]): readonly Fill[] {
  let from = 0;
  let mostBytes = 0;
  for (const [index, { usedBytes, totalBytes }] of fills.entries()) {
    if (mostBytes - usedBytes > freedShare * totalBytes) {
      from = index;
      mostBytes = usedBytes;
    }
    mostBytes = Math.max(mostBytes, usedBytes);
  }
  return fills.slice(from);
}

function trendWithin(fills: readonly Fill[], nowMs: number): Trend | undefined {
  const [first, last] = [fills[0], fills.at(-1)];
  if (first === undefined || last === undefined || fills.length < fewest) return undefined;
  const { slope, fit } = lineThrough(fills.map(({ atMs, usedBytes }) => [atMs - first.atMs, usedBytes]));
  if (slope <= 0 || fit < leastFit) return undefined;
  if (slope * (last.atMs - first.atMs) < leastGrowth * last.totalBytes) return undefined;
  // From what is in use now, not from the line: the next block is taken on top of it.
  const leftMs = Math.max(0, last.totalBytes - last.usedBytes) / slope;
  const fullAtMs = Math.round(Math.max(nowMs, last.atMs + leftMs));
  return fullAtMs - nowMs > horizonMs ? undefined : { fullAtMs, bytesPerSecond: slope * 1000, fit };
}

/** The slope of the line by least squares, and its coefficient of determination. */
function lineThrough(points: readonly (readonly [number, number])[]): { readonly slope: number; readonly fit: number } {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  let [xx, xy, yy] = [0, 0, 0];
  for (const [x, y] of points) {
    xx += (x - meanX) ** 2;
    xy += (x - meanX) * (y - meanY);
    yy += (y - meanY) ** 2;
  }
  return xx === 0 || yy === 0 ? { slope: 0, fit: 0 } : { slope: xy / xx, fit: xy ** 2 / (xx * yy) };
}

/** The fills of one area; points at which it was not known are left out. */
export const fillsOf = (points: readonly HistoryPoint[], area: "data" | "metadata"): Fill[] =>
  points.flatMap((point) => {
    const { [`${area}UsedBytes` as const]: usedBytes, [`${area}TotalBytes` as const]: totalBytes } = point;
    return usedBytes === null || totalBytes === null ? [] : [{ atMs: point.atMs, usedBytes, totalBytes }];
  });
