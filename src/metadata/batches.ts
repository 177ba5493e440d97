// Room: metadata. Owns the records of batches; what a batch has come to is counted from the rows of its items.
import { count, desc, eq, getTableColumns, sql } from "drizzle-orm";
import { type BatchSettings, type BatchState, batchState, type ItemCounts, noItems } from "../domain/batches.ts";
import { notFound } from "../domain/errors.ts";
import type { BatchId } from "../domain/identifiers.ts";
import { batches, batchItems } from "./batch-schema.ts";
import { type Database, statements } from "./database.ts";

export interface BatchRecord extends BatchSettings {
  readonly batch: BatchId;
  readonly createdAtMs: number;
  /** Undefined: it was not cancelled. */
  readonly cancelledAtMs?: number | undefined;
  readonly cancelReason?: string | undefined;
}

const prepared = statements((handle) => ({
  find: handle
    .select()
    .from(batches)
    .where(eq(batches.batch, sql.placeholder("batch")))
    .prepare(),
  count: handle
    .select({ state: batchItems.state, count: count() })
    .from(batchItems)
    .where(eq(batchItems.batch, sql.placeholder("batch")))
    .groupBy(batchItems.state)
    .prepare(),
}));

export function insertBatch(
  database: Database,
  batch: Omit<BatchRecord, "createdAtMs" | "cancelledAtMs" | "cancelReason">,
): void {
  database.drizzle
    .insert(batches)
    .values({ ...batch, createdAtMs: Date.now() })
    .run();
}

export function lookUpBatch(database: Database, batch: BatchId): BatchRecord | undefined {
  const row = prepared(database).find.get({ batch });
  return row && asRecord(row);
}

/** Throws not_found. */
export function findBatch(database: Database, batch: BatchId): BatchRecord {
  const found = lookUpBatch(database, batch);
  if (found === undefined) throw notFound(`this pool has no batch ${batch}: 'snapmill batch ls' shows those it has`);
  return found;
}

/** The latest first. */
export const listBatches = (database: Database, limit: number): BatchRecord[] =>
  database.drizzle
    .select()
    .from(batches)
    .orderBy(desc(batches.createdAtMs), desc(batches.batch))
    .limit(limit)
    .all()
    .map(asRecord);

export const countBatches = (database: Database): number =>
  database.drizzle.select({ count: count() }).from(batches).get()?.count ?? 0;

export function countItems(database: Database, batch: BatchId): ItemCounts {
  const rows = prepared(database).count.all({ batch });
  return { ...noItems, ...Object.fromEntries(rows.map(({ state, count: items }) => [state, items])) };
}

export interface BatchSummary extends BatchRecord {
  readonly state: BatchState;
  readonly counts: ItemCounts;
}

/** What a batch has come to. */
export function summaryOf(database: Database, record: BatchRecord): BatchSummary {
  const counts = countItems(database, record.batch);
  return { ...record, state: batchState(counts, record.cancelledAtMs !== undefined), counts };
}

/** The first reason counts. */
export function markCancelled(database: Database, batch: BatchId, reason: string): void {
  database.drizzle
    .update(batches)
    .set({
      cancelledAtMs: sql`coalesce(${batches.cancelledAtMs}, ${Date.now()})`,
      cancelReason: sql`coalesce(${batches.cancelReason}, ${reason})`,
    })
    .where(eq(batches.batch, batch))
    .run();
}

export function unmarkCancelled(database: Database, batch: BatchId): void {
  database.drizzle
    .update(batches)
    .set({ cancelledAtMs: null, cancelReason: null })
    .where(eq(batches.batch, batch))
    .run();
}

/** With its items. */
export function deleteBatch(database: Database, batch: BatchId): void {
  database.drizzle.delete(batches).where(eq(batches.batch, batch)).run();
}

/** Columns that are null are fields that are not there. */
function asRecord(row: typeof batches.$inferSelect): BatchRecord {
  const given = Object.keys(getTableColumns(batches)) as (keyof typeof row)[];
  return Object.fromEntries(
    given.flatMap((key) => (row[key] === null ? [] : [[key, row[key]]])),
  ) as unknown as BatchRecord;
}
