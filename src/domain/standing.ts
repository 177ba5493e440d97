// Room: domain. Owns what the last points of a history say of now: since when something has been as it is.
import type { HistoryPoint } from "./history.ts";

/**
 * The time of the first of the last points in a row of which `holds` is true; undefined: it is not true of the last one.
 * `reachesBack`: it is true of all of them, so it may be true for longer.
 */
export function holdsSince(
  points: readonly HistoryPoint[],
  holds: (point: HistoryPoint) => boolean,
): { readonly sinceMs: number; readonly reachesBack: boolean } | undefined {
  const last = points.findLastIndex((point) => !holds(point));
  const first = points[last + 1];
  return first === undefined ? undefined : { sinceMs: first.atMs, reachesBack: last === -1 };
}
