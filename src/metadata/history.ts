// Room: metadata. Owns the rows of the history: a sample goes into each ring of its pool, and ranges are read from them.
import { and, asc, eq, gt, lt, lte, max, notInArray } from "drizzle-orm";
import { type HistoryPoint, type HistoryRange, historyRanges, placeIn, together } from "../domain/history.ts";
import { type Database, transactSoon } from "./database.ts";
import { history } from "./service-tables.ts";

type Row = typeof history.$inferSelect;

/**
 * Puts the samples of one moment into all rings, in one transaction. Not waited for: a power cut may take the last ones.
 * A step that is there already (also when the clock was set back) takes them in; any other gives its place away.
 */
export const recordSamples = (database: Database, samples: ReadonlyMap<string, HistoryPoint>): void =>
  transactSoon(database, () => {
    for (const [pool, sample] of samples) for (const ring of historyRanges) recordIn(database, pool, ring, sample);
  });

function recordIn({ drizzle }: Database, pool: string, ring: HistoryRange, sample: HistoryPoint): void {
  const { atMs, place } = placeIn(ring, sample.atMs);
  const isThere = and(eq(history.pool, pool), eq(history.ring, ring), eq(history.place, place));
  const there = drizzle.select().from(history).where(isThere).get();
  const known = there?.atMs === atMs ? pointOf(there) : undefined;
  const { failures, ...values } = { ...(known === undefined ? sample : together(known, sample)), atMs };
  const hasFailures = Object.keys(failures).length > 0;
  const row: Row = { pool, ring, place, ...values, failures: hasFailures ? JSON.stringify(failures) : null };
  drizzle
    .insert(history)
    .values(row)
    .onConflictDoUpdate({ target: [history.pool, history.ring, history.place], set: row })
    .run();
}

/** The steps after `afterMs`, up to `untilMs`, in the order of time. */
export const readHistory = (
  { drizzle }: Database,
  { pool, ring, afterMs, untilMs }: { pool: string; ring: HistoryRange; afterMs: number; untilMs: number },
): HistoryPoint[] =>
  drizzle
    .select()
    .from(history)
    .where(and(eq(history.pool, pool), eq(history.ring, ring), gt(history.atMs, afterMs), lte(history.atMs, untilMs)))
    .orderBy(asc(history.atMs))
    .all()
    .map(pointOf);

/** Forgets pools that are not among `served` and of which nothing was recorded since `sinceMs`. */
export function forgetPools(database: Database, served: readonly string[], sinceMs: number): void {
  transactSoon(database, () => {
    const gone = database.drizzle
      .select({ pool: history.pool })
      .from(history)
      .where(notInArray(history.pool, [...served]))
      .groupBy(history.pool)
      .having(lt(max(history.atMs), sinceMs))
      .all();
    for (const { pool } of gone) database.drizzle.delete(history).where(eq(history.pool, pool)).run();
  });
}

function pointOf({ pool: _pool, ring: _ring, place: _place, failures, ...values }: Row): HistoryPoint {
  return { ...values, failures: failures === null ? {} : (JSON.parse(failures) as HistoryPoint["failures"]) };
}
