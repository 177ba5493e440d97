// Room: metadata. Owns the table of unpacks that have ended: a part of the schema.
import { sql } from "drizzle-orm";
import { check, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { type ErrorCode, errorCodes } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { oneOf } from "./one-of.ts";

export const unpackOutcomes = ["unpacked", "failed", "cancelled"] as const;

/** The last unpacks that have ended, and how each went. `layers` is JSON. AUTOINCREMENT: their order is that of their ends. */
export const unpacks = sqliteTable(
  "unpacks",
  {
    number: integer().primaryKey({ autoIncrement: true }),
    operationId: text("operation_id").$type<OperationId>().notNull(),
    reference: text().notNull(),
    platform: text().notNull(),
    outcome: text({ enum: unpackOutcomes }).notNull(),
    errorCode: text("error_code").$type<ErrorCode>(),
    errorMessage: text("error_message"),
    /** Of the last attempt. */
    startedAtMs: integer("started_at_ms").notNull(),
    endedAtMs: integer("ended_at_ms").notNull(),
    layers: text().notNull(),
    /** JSON: how its registry was used, to be used again; null: as usual. */
    registry: text(),
  },
  (table) => [
    uniqueIndex("unpacks_operation").on(table.operationId),
    check("unpacks_outcome_known", oneOf(table.outcome, unpackOutcomes)),
    check("unpacks_error_code_known", oneOf(table.errorCode, errorCodes)),
    check("unpacks_failed_has_reason", sql`${table.outcome} <> 'failed' or ${table.errorMessage} is not null`),
  ],
);
