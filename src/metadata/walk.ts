// Room: metadata. Owns the walk over many snapshots, by pages and with indexes.
import { and, asc, eq, gt, type SQL, sql } from "drizzle-orm";
import { compileFilters, type Lookup } from "../domain/filters.ts";
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Snapshot } from "../domain/snapshots.ts";
import type { Database } from "./database.ts";
import { labels, snapshots } from "./schema.ts";
import { parents, snapshotColumns, toSnapshot } from "./snapshots.ts";

export interface Walk {
  readonly scope: Scope;
  /** As domain/filters.ts has them; none: every snapshot. */
  readonly filters?: readonly string[];
}

const pageRows = 256;

/**
 * The snapshots of a scope that `filters` let through, by key. Read in pages, each of one moment and none left open: a
 * cursor that stays open while its reader thinks keeps SQLite from shortening its log.
 *
 * Throws invalid_argument for a bad filter, before the first snapshot.
 */
export function walkSnapshots(database: Database, { scope, filters = [] }: Walk): Iterable<Snapshot> {
  const { matches, lookup } = compileFilters(filters);
  return pages(database, scope, lookup, matches);
}

function* pages(
  database: Database,
  scope: Scope,
  lookup: Lookup | undefined,
  matches: (snapshot: Snapshot) => boolean,
): Generator<Snapshot, void> {
  let after: SnapshotKey | undefined;
  do {
    const rows = readPage(database, scope, lookup, after);
    for (const row of rows) {
      const snapshot = toSnapshot(row);
      if (matches(snapshot)) yield snapshot;
    }
    after = rows.length < pageRows ? undefined : rows.at(-1)?.key;
  } while (after !== undefined);
}

const readPage = (database: Database, scope: Scope, lookup: Lookup | undefined, after: SnapshotKey | undefined) =>
  database.drizzle
    .select(snapshotColumns)
    .from(snapshots)
    .leftJoin(parents, eq(parents.number, snapshots.parent))
    .where(
      and(
        eq(snapshots.scope, scope),
        after === undefined ? undefined : gt(snapshots.key, after),
        narrowed(lookup, scope),
      ),
    )
    .orderBy(asc(snapshots.key))
    .limit(pageRows)
    .all();

/** The lookup as a condition that an index answers. */
function narrowed(lookup: Lookup | undefined, scope: Scope): SQL | undefined {
  if (lookup === undefined) return undefined;
  switch (lookup.by) {
    case "name":
      return eq(snapshots.key, lookup.name as SnapshotKey);
    case "label":
      return sql`${snapshots.number} in (select ${labels.snapshot} from ${labels}
        where ${labels.name} = ${lookup.name} and ${labels.value} = ${lookup.value})`;
    case "parent":
      return sql`${snapshots.parent} = (select number from snapshots where scope = ${scope} and key = ${lookup.parent})`;
    case "kind":
      return eq(snapshots.kind, lookup.kind);
  }
}
