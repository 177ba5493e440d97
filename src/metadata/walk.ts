// Room: metadata. Owns the walk over many snapshots, by pages and with indexes.
import { and, asc, eq, gt, type SQL, sql } from "drizzle-orm";
import { compileFilters, type Lookup } from "../domain/filters.ts";
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Snapshot } from "../domain/snapshots.ts";
import { type Database, statements } from "./database.ts";
import { labels, snapshots } from "./schema.ts";
import { snapshotColumns, toSnapshot } from "./snapshots.ts";

export interface Walk {
  readonly scope: Scope;
  /** As domain/filters.ts has them; none: every snapshot. */
  readonly filters?: readonly string[];
  /** Only the snapshots behind this key. */
  readonly after?: SnapshotKey | undefined;
}

const pageRows = 256;
/** Filters may be slow: after this long, other work of the process has its turn. */
const turnMs = 20;

/**
 * The snapshots of a scope that `filters` let through, by key. Read in pages, each of one moment and none left open: a
 * cursor that stays open while its reader is busy keeps SQLite from truncating its log.
 *
 * Throws invalid_argument for a bad filter, before the first snapshot.
 */
export const walkSnapshots = (database: Database, walk: Walk): Iterable<Snapshot> => flat(walkPages(database, walk));

function* flat(pagesOf: Iterable<readonly Snapshot[]>): Generator<Snapshot, void> {
  for (const page of pagesOf) yield* page;
}

/** The same page by page, for a caller with other work in between: a page may have no match. */
export function walkPages(database: Database, { scope, filters = [], after }: Walk): Iterable<readonly Snapshot[]> {
  const { matches, lookup } = compileFilters(filters);
  return pages(database, { scope, after: after ?? "" }, lookup, matches);
}

function* pages(
  database: Database,
  from: Place,
  lookup: Lookup | undefined,
  matches: (snapshot: Snapshot) => boolean,
): Generator<readonly Snapshot[], void> {
  let after: Place["after"] | undefined = from.after;
  do {
    const rows = readPage(database, lookup, { scope: from.scope, after });
    yield* partsOf(rows.map(toSnapshot), matches);
    after = rows.length < pageRows ? undefined : rows.at(-1)?.key;
  } while (after !== undefined);
}

/** The matches of a page: all at once, or in parts when that takes long. */
function* partsOf(page: readonly Snapshot[], matches: (snapshot: Snapshot) => boolean) {
  let part: Snapshot[] = [];
  let sinceMs = performance.now();
  for (const snapshot of page) {
    if (matches(snapshot)) part.push(snapshot);
    if (performance.now() - sinceMs < turnMs) continue;
    yield part;
    part = [];
    sinceMs = performance.now();
  }
  yield part;
}

/**
 * One statement for each kind of lookup, prepared once. Pages come in the order of the index on scope and key, unless a
 * lookup has an index that finds less: a "+" before the columns then keeps SQLite from reading the whole scope in order.
 */
export const pageStatements = statements((handle) => {
  const place = { scope: sql.placeholder("scope"), after: sql.placeholder("after") };
  const pageWhere = (condition: SQL | undefined) =>
    handle
      .select(snapshotColumns)
      .from(snapshots)
      .where(condition)
      .orderBy(asc(snapshots.key))
      .limit(pageRows)
      .prepare();
  const inOrder = and(eq(snapshots.scope, place.scope), gt(snapshots.key, place.after));
  const inNoOrder = sql`+${snapshots.scope} = ${place.scope} and +${snapshots.key} > ${place.after}`;
  return {
    every: pageWhere(inOrder),
    name: pageWhere(and(inOrder, eq(snapshots.key, sql.placeholder("name")))),
    kind: pageWhere(and(inOrder, eq(snapshots.kind, sql.placeholder("kind")))),
    label: pageWhere(sql`${inNoOrder} and ${snapshots.number} in (select ${labels.snapshot} from ${labels}
      where ${labels.name} = ${sql.placeholder("name")} and ${labels.value} = ${sql.placeholder("value")})`),
    parent: pageWhere(sql`${inNoOrder} and ${snapshots.parent} = (select number from snapshots
      where scope = ${place.scope} and key = ${sql.placeholder("parent")})`),
  };
});

/** Where a page begins: after a key, or at the first with "", since no key is empty. */
interface Place {
  readonly scope: Scope;
  readonly after: SnapshotKey | "";
}

function readPage(database: Database, lookup: Lookup | undefined, place: Place) {
  const pages = pageStatements(database);
  switch (lookup?.by) {
    case undefined:
      return pages.every.all({ ...place });
    case "name":
      return pages.name.all({ ...place, name: lookup.name });
    case "label":
      return pages.label.all({ ...place, name: lookup.name, value: lookup.value });
    case "parent":
      return pages.parent.all({ ...place, parent: lookup.parent });
    case "kind":
      return pages.kind.all({ ...place, kind: lookup.kind });
  }
}
