// Room: metadata. Owns what an unpack asks of the records, one statement each: is a layer there, and what was left of it.
import { and, eq, sql } from "drizzle-orm";
import { type ChainId, ownScope, type SnapshotKey, snapshotKey } from "../domain/identifiers.ts";
import { labelNames } from "../domain/snapshots.ts";
import { type Database, statements } from "./database.ts";
import { labels, snapshots } from "./schema.ts";

export const layerStatements = statements((handle) => ({
  committed: handle
    .select({ bytes: labels.value })
    .from(snapshots)
    .leftJoin(labels, and(eq(labels.snapshot, snapshots.number), eq(labels.name, labelNames.unpackBytes)))
    .where(
      and(eq(snapshots.scope, ownScope), eq(snapshots.key, sql.placeholder("key")), eq(snapshots.kind, "committed")),
    )
    .prepare(),
  attempts: handle
    .select({ key: snapshots.key })
    .from(labels)
    .innerJoin(snapshots, eq(snapshots.number, labels.snapshot))
    .where(
      and(
        eq(labels.name, labelNames.unpackChain),
        eq(labels.value, sql.placeholder("chainId")),
        // The "+" keeps SQLite from reading the whole scope instead.
        sql`+${snapshots.scope} = ${ownScope}`,
        eq(snapshots.kind, "active"),
      ),
    )
    .prepare(),
}));

/**
 * The length in bytes of the uncompressed layer whose committed snapshot the pool holds; undefined when it holds none.
 * 0 when its label, which users can change, does not say.
 */
export function committedLayerBytes(database: Database, chainId: ChainId): number | undefined {
  const row = layerStatements(database).committed.get({ key: snapshotKey(chainId) });
  if (row === undefined) return undefined;
  return /^\d{1,15}$/.test(row.bytes ?? "") ? Number(row.bytes) : 0;
}

/** The active snapshots that unpacks of this layer have prepared and neither committed nor removed. */
export const layerAttempts = (database: Database, chainId: ChainId): SnapshotKey[] =>
  layerStatements(database)
    .attempts.all({ chainId })
    .map(({ key }) => key);
