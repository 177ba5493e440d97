// Room: metadata. Owns the tables of batches: a part of the schema.
import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { itemStates } from "../domain/batches.ts";
import { type ErrorCode, errorCodes } from "../domain/errors.ts";
import type { BatchId, OperationId } from "../domain/identifiers.ts";
import { type UnpackStage, unpackStages } from "../domain/unpack-stage.ts";
import { oneOf } from "./one-of.ts";

/** Batches. What state one is in is counted from its items. */
export const batches = sqliteTable(
  "batches",
  {
    batch: text().$type<BatchId>().primaryKey(),
    name: text(),
    priority: integer().notNull(),
    parallel: integer().notNull(),
    attempts: integer().notNull(),
    failAfterPercent: integer("fail_after_percent"),
    timeLimitMs: integer("time_limit_ms"),
    createdAtMs: integer("created_at_ms").notNull(),
    cancelledAtMs: integer("cancelled_at_ms"),
    cancelReason: text("cancel_reason"),
  },
  (table) => [
    index("batches_created").on(table.createdAtMs),
    check("batches_priority", sql`${table.priority} between 1 and 1000`),
    check("batches_parallel", sql`${table.parallel} between 1 and 64`),
    check("batches_attempts", sql`${table.attempts} > 0`),
    check("batches_fail_after", sql`${table.failAfterPercent} between 0 and 100`),
    check("batches_time_limit", sql`${table.timeLimitMs} > 0`),
    check("batches_cancelled_has_reason", sql`(${table.cancelledAtMs} is null) = (${table.cancelReason} is null)`),
  ],
);

/**
 * What a batch wants: an image each. `registry` is JSON. An item with an operation ID that has not ended is in flight: the
 * outbox has that operation. `attempts`: those that had an outcome; a worker that died counts for none.
 */
export const batchItems = sqliteTable(
  "batch_items",
  {
    batch: text()
      .$type<BatchId>()
      .notNull()
      .references(() => batches.batch, { onDelete: "cascade" }),
    position: integer().notNull(),
    reference: text().notNull(),
    platform: text().notNull(),
    registry: text(),
    state: text({ enum: itemStates }).notNull(),
    attempts: integer().notNull(),
    operationId: text("operation_id").$type<OperationId>(),
    errorCode: text("error_code").$type<ErrorCode>(),
    errorMessage: text("error_message"),
    stage: text().$type<UnpackStage>(),
    startedAtMs: integer("started_at_ms"),
    endedAtMs: integer("ended_at_ms"),
  },
  (table) => [
    primaryKey({ columns: [table.batch, table.position] }),
    uniqueIndex("batch_items_wanted").on(table.batch, table.reference, table.platform),
    // Without the rows that have none: else SQLite looks for those by it, and sorts all that it finds.
    uniqueIndex("batch_items_operation").on(table.operationId).where(sql`${table.operationId} is not null`),
    index("batch_items_state").on(table.batch, table.state, table.position),
    index("batch_items_in_flight")
      .on(table.batch)
      .where(sql`${table.endedAtMs} is null and ${table.operationId} is not null`),
    index("batch_items_waiting")
      .on(table.batch, table.position)
      .where(sql`${table.endedAtMs} is null and ${table.operationId} is null`),
    check("batch_items_state_known", oneOf(table.state, itemStates)),
    check("batch_items_stage_known", oneOf(table.stage, unpackStages)),
    check("batch_items_error_code_known", oneOf(table.errorCode, errorCodes)),
    check("batch_items_ended", sql`(${table.state} in ('pending', 'running')) = (${table.endedAtMs} is null)`),
    check(
      "batch_items_running_is_in_flight",
      sql`${table.state} <> 'running' or (${table.operationId} is not null and ${table.startedAtMs} is not null)`,
    ),
    check(
      "batch_items_failed_has_reason",
      sql`${table.state} <> 'failed' or (${table.errorCode} is not null and ${table.errorMessage} is not null and ${table.stage} is not null)`,
    ),
  ],
);
