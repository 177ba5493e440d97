// Room: metadata. Owns the records of batches' items: one image each, and how it stands with it.
import { and, asc, count, eq, gt, inArray, isNotNull, isNull, max, min, sql } from "drizzle-orm";
import { type ItemState, noItems } from "../domain/batches.ts";
import type { ErrorCode } from "../domain/errors.ts";
import type { BatchId, OperationId } from "../domain/identifiers.ts";
import type { RegistryOptions } from "../domain/registry-options.ts";
import type { UnpackStage } from "../domain/unpack-stage.ts";
import { batches, batchItems } from "./batch-schema.ts";
import { type Database, statements } from "./database.ts";

/** What is wanted. */
export interface WantedImage {
  readonly reference: string;
  readonly platform: string;
  readonly registry?: RegistryOptions | undefined;
}

export interface ItemFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stage: UnpackStage;
}

export interface BatchItem extends WantedImage {
  readonly batch: BatchId;
  /** From 0, as they were given. */
  readonly position: number;
  readonly state: ItemState;
  /** That had an outcome. */
  readonly attempts: number;
  /** Of the unpack that is, or was last, at it. */
  readonly operationId?: OperationId | undefined;
  /** Of the last attempt. */
  readonly failure?: ItemFailure | undefined;
  readonly startedAtMs?: number | undefined;
  readonly endedAtMs?: number | undefined;
}

const isOpen = isNull(batchItems.endedAtMs);
const isQueued = isNotNull(batchItems.operationId);
const isUnqueued = isNull(batchItems.operationId);
const ofBatch = eq(batchItems.batch, sql.placeholder("batch"));

const prepared = statements((handle) => ({
  insert: handle
    .insert(batchItems)
    .values({
      batch: sql.placeholder("batch"),
      position: sql.placeholder("position"),
      reference: sql.placeholder("reference"),
      platform: sql.placeholder("platform"),
      registry: sql.placeholder("registry"),
      state: "pending",
      attempts: 0,
    })
    .prepare(),
  ofOperation: handle
    .select()
    .from(batchItems)
    .where(eq(batchItems.operationId, sql.placeholder("operationId")))
    .prepare(),
  countInFlight: handle
    .select({ count: count() })
    .from(batchItems)
    .where(and(ofBatch, isOpen, isQueued))
    .prepare(),
  countIn: handle
    .select({ count: count() })
    .from(batchItems)
    .where(and(ofBatch, eq(batchItems.state, sql.placeholder("state"))))
    .prepare(),
  waiting: handle
    .select()
    .from(batchItems)
    .where(and(ofBatch, isOpen, isUnqueued))
    .orderBy(asc(batchItems.position))
    .limit(sql.placeholder("limit"))
    .prepare(),
  last: handle
    .select({ position: max(batchItems.position) })
    .from(batchItems)
    .where(ofBatch)
    .prepare(),
}));

export function insertItems(database: Database, batch: BatchId, items: readonly WantedImage[]): void {
  const { insert } = prepared(database);
  for (const [position, { reference, platform, registry }] of items.entries()) {
    insert.run({ batch, position, reference, platform, registry: registry ? JSON.stringify(registry) : null });
  }
}

/** The item that an unpack is of; undefined: it is of no batch. */
export function itemOfOperation(database: Database, operationId: OperationId): BatchItem | undefined {
  const row = prepared(database).ofOperation.get({ operationId });
  return row && asItem(row);
}

/** Those of these unpacks that no batch wants: a batch goes on whenever its pool is served. */
export const ofNoBatch = (database: Database, operationIds: readonly OperationId[]): OperationId[] =>
  operationIds.filter((operationId) => itemOfOperation(database, operationId) === undefined);

/** Queued or running. */
export const countInFlight = (database: Database, batch: BatchId): number =>
  prepared(database).countInFlight.get({ batch })?.count ?? 0;

export const countItemsIn = (database: Database, batch: BatchId, state: ItemState): number =>
  prepared(database).countIn.get({ batch, state })?.count ?? 0;

/** When the first of its items failed that have failed for good; null: none has. */
export const failingSinceMs = (database: Database, batch: BatchId): number | null =>
  database.drizzle
    .select({ atMs: min(batchItems.endedAtMs) })
    .from(batchItems)
    .where(and(eq(batchItems.batch, batch), eq(batchItems.state, "failed")))
    .get()?.atMs ?? null;

/** Of all batches. */
export function countItemsByState(database: Database): Record<ItemState, number> {
  const rows = database.drizzle
    .select({ state: batchItems.state, count: count() })
    .from(batchItems)
    .groupBy(batchItems.state)
    .all();
  return { ...noItems, ...Object.fromEntries(rows.map(({ state, count }) => [state, count])) };
}

/** How many items the batch was given. */
export const countAllItems = (database: Database, batch: BatchId): number =>
  (prepared(database).last.get({ batch })?.position ?? -1) + 1;

/** The next ones to be queued, in the order given. */
export const waitingItems = (database: Database, batch: BatchId, limit: number): BatchItem[] =>
  prepared(database).waiting.all({ batch, limit }).map(asItem);

/** A page of a batch's items in the order given: those behind `after`, all or those in some states. */
export const itemsPage = (
  database: Database,
  batch: BatchId,
  { states, after, limit }: { states?: readonly ItemState[] | undefined; after?: number | undefined; limit: number },
): BatchItem[] =>
  database.drizzle
    .select()
    .from(batchItems)
    .where(
      and(
        eq(batchItems.batch, batch),
        states && inArray(batchItems.state, [...states]),
        after === undefined ? undefined : gt(batchItems.position, after),
      ),
    )
    .orderBy(asc(batchItems.position))
    .limit(limit)
    .all()
    .map(asItem);

/** What all items of a batch want, in the order given. */
export const wantedImages = (database: Database, batch: BatchId): WantedImage[] =>
  database.drizzle
    .select()
    .from(batchItems)
    .where(eq(batchItems.batch, batch))
    .orderBy(asc(batchItems.position))
    .all()
    .map(wantedOf);

export function queueItem(database: Database, { batch, position }: BatchItem, operationId: OperationId): void {
  database.drizzle.update(batchItems).set({ operationId }).where(isItem(batch, position)).run();
}

/** An attempt begins: its item runs. */
export function startItem(database: Database, { batch, position }: BatchItem): void {
  database.drizzle
    .update(batchItems)
    .set({ state: "running", startedAtMs: sql`coalesce(${batchItems.startedAtMs}, ${Date.now()})` })
    .where(isItem(batch, position))
    .run();
}

/** An attempt has failed, and another one will be made. */
export function noteFailedAttempt(database: Database, item: BatchItem, failure: ItemFailure): void {
  database.drizzle
    .update(batchItems)
    .set({ state: "pending", attempts: item.attempts + 1, ...failureColumns(failure) })
    .where(isItem(item.batch, item.position))
    .run();
}

export function endItem(database: Database, item: BatchItem, state: "done" | "present"): void {
  database.drizzle
    .update(batchItems)
    .set({ state, attempts: item.attempts + 1, endedAtMs: Date.now(), ...noFailure })
    .where(isItem(item.batch, item.position))
    .run();
}

export function failItem(database: Database, item: BatchItem, failure: ItemFailure): void {
  database.drizzle
    .update(batchItems)
    .set({ state: "failed", attempts: item.attempts + 1, endedAtMs: Date.now(), ...failureColumns(failure) })
    .where(isItem(item.batch, item.position))
    .run();
}

export function cancelItem(database: Database, { batch, position }: BatchItem): void {
  database.drizzle
    .update(batchItems)
    .set({ state: "cancelled", endedAtMs: Date.now() })
    .where(isItem(batch, position))
    .run();
}

/** Ends all items that do not run as cancelled; returns how many, and the operations of those that were queued. */
export function cancelPendingItems(database: Database, batch: BatchId) {
  const rows = database.drizzle
    .update(batchItems)
    .set({ state: "cancelled", endedAtMs: Date.now() })
    .where(and(eq(batchItems.batch, batch), eq(batchItems.state, "pending")))
    .returning({ operationId: batchItems.operationId })
    .all();
  return { cancelled: rows.length, queued: rows.flatMap(({ operationId }) => operationId ?? []) };
}

export const runningOperations = (database: Database, batch: BatchId): OperationId[] =>
  database.drizzle
    .select({ operationId: batchItems.operationId })
    .from(batchItems)
    .where(and(eq(batchItems.batch, batch), isOpen, isQueued, eq(batchItems.state, "running")))
    .all()
    .flatMap(({ operationId }) => operationId ?? []);

/** Operations of items that still run although their batch was cancelled. */
export const cancelledRunning = (database: Database): OperationId[] =>
  database.drizzle
    .select({ operationId: batchItems.operationId })
    .from(batches)
    .innerJoin(batchItems, eq(batchItems.batch, batches.batch))
    .where(and(isNotNull(batches.cancelledAtMs), isOpen, isQueued))
    .all()
    .flatMap(({ operationId }) => operationId ?? []);

/** Items in these states are as if they had never been tried; returns how many. */
export const resetItems = (database: Database, batch: BatchId, states: readonly ("failed" | "cancelled")[]): number =>
  database.drizzle
    .update(batchItems)
    .set({
      state: "pending",
      attempts: 0,
      operationId: null,
      startedAtMs: null,
      endedAtMs: null,
      ...noFailure,
    })
    .where(and(eq(batchItems.batch, batch), inArray(batchItems.state, [...states])))
    .returning({ position: batchItems.position })
    .all().length;

const isItem = (batch: BatchId, position: number) =>
  and(eq(batchItems.batch, batch), eq(batchItems.position, position));

const noFailure = { errorCode: null, errorMessage: null, stage: null } as const;
const failureColumns = ({ code, message, stage }: ItemFailure) => ({ errorCode: code, errorMessage: message, stage });

type Row = typeof batchItems.$inferSelect;

const wantedOf = ({ reference, platform, registry }: Row): WantedImage => ({
  reference,
  platform,
  ...(registry !== null && { registry: JSON.parse(registry) as RegistryOptions }),
});

function asItem(row: Row): BatchItem {
  const { batch, position, state, attempts, operationId, errorCode, errorMessage, stage, startedAtMs, endedAtMs } = row;
  return {
    ...wantedOf(row),
    batch,
    position,
    state,
    attempts,
    ...(operationId !== null && { operationId }),
    ...(errorCode !== null &&
      errorMessage !== null &&
      stage !== null && { failure: { code: errorCode, message: errorMessage, stage } }),
    ...(startedAtMs !== null && { startedAtMs }),
    ...(endedAtMs !== null && { endedAtMs }),
  };
}
