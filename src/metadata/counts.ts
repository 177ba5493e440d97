// Room: metadata. Owns how many snapshots a pool has, of all scopes together.
import { count } from "drizzle-orm";
import type { SnapshotKind } from "../domain/snapshots.ts";
import type { Database } from "./database.ts";
import { snapshots } from "./schema.ts";

export function countSnapshotsByKind(database: Database): Readonly<Record<SnapshotKind, number>> {
  const rows = database.drizzle
    .select({ kind: snapshots.kind, count: count() })
    .from(snapshots)
    .groupBy(snapshots.kind)
    .all();
  return { active: 0, view: 0, committed: 0, ...Object.fromEntries(rows.map((row) => [row.kind, row.count])) };
}
