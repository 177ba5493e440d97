// Room: metadata. Owns the tables of what `up` itself records; `npm run migrations` turns a change here into a migration.
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { roles } from "../domain/callers.ts";
import { historyRanges } from "../domain/history.ts";
import type { OperationId, PoolName } from "../domain/identifiers.ts";
import { recoveries } from "../domain/recovery.ts";

/**
 * A row for each change that somebody asked for over HTTP. Written before the change is made, and completed after it: a row
 * without `code` was begun, and what came of it is not known. AUTOINCREMENT, so that a number means one row for ever.
 */
export const audit = sqliteTable(
  "audit",
  {
    number: integer().primaryKey({ autoIncrement: true }),
    atMs: integer("at_ms").notNull(),
    requestId: text("request_id").notNull(),
    tokenName: text("token_name").notNull(),
    role: text({ enum: roles }).notNull(),
    method: text().notNull(),
    path: text().notNull(),
    /** Of the API's operations; null: a change by the dashboard's pages, or one that is none. */
    operation: text(),
    pool: text(),
    reason: text(),
    /** JSON, without secrets, of bounded size. */
    request: text(),
    operationId: text("operation_id"),
    /** `ok`, or the code of the problem; null: begun. */
    code: text(),
    /** Of HTTP. */
    status: integer(),
    endedAtMs: integer("ended_at_ms"),
  },
  (table) => [
    index("audit_at").on(table.atMs),
    index("audit_token").on(table.tokenName),
    index("audit_operation").on(table.operation),
    index("audit_pool").on(table.pool),
    index("audit_code").on(table.code),
    index("audit_operation_id").on(table.operationId),
  ],
);

/**
 * The history of each pool: rings of domain/history.ts. The key is a place in a ring, which a later step takes over: so a
 * pool never has more rows than its rings have places. `failures` is JSON, null where there is none.
 */
export const history = sqliteTable(
  "history",
  {
    pool: text().notNull(),
    ring: text({ enum: historyRanges }).notNull(),
    place: integer().notNull(),
    atMs: integer("at_ms").notNull(),
    samples: integer().notNull(),
    spaceSamples: integer("space_samples").notNull(),
    readySamples: integer("ready_samples").notNull(),
    elapsedMs: integer("elapsed_ms").notNull(),
    dataUsedBytes: integer("data_used_bytes"),
    dataTotalBytes: integer("data_total_bytes"),
    metadataUsedBytes: integer("metadata_used_bytes"),
    metadataTotalBytes: integer("metadata_total_bytes"),
    snapshots: integer(),
    devices: integer(),
    pendingRemovals: integer("pending_removals"),
    failedRemovals: integer("failed_removals"),
    waitingJobs: integer("waiting_jobs"),
    oldestWaitingMs: integer("oldest_waiting_ms"),
    runningUnpacks: integer("running_unpacks"),
    unpackedBytes: integer("unpacked_bytes").notNull(),
    unpackedLayers: integer("unpacked_layers").notNull(),
    restarts: integer().notNull(),
    failures: text(),
  },
  (table) => [primaryKey({ columns: [table.pool, table.ring, table.place] })],
);

/**
 * A row for each operation that was begun over HTTP, under the hash of its caller's name and key. Written before its effect,
 * and completed after it: a row without `endedAtMs` runs, or did when its `up` ended. Of what was given there is a digest
 * alone.
 */
export const operations = sqliteTable(
  "operations",
  {
    operationId: text("operation_id").$type<OperationId>().primaryKey(),
    /** Whether it has an Idempotency-Key, and so may be asked for again. */
    isKeyed: integer("is_keyed", { mode: "boolean" }).notNull(),
    tokenName: text("token_name").notNull(),
    operation: text().notNull(),
    pool: text().$type<PoolName>(),
    digest: text().notNull(),
    recovery: text({ enum: recoveries }).notNull(),
    startedAtMs: integer("started_at_ms").notNull(),
    endedAtMs: integer("ended_at_ms"),
    /** Of its answer. */
    bytes: integer().notNull(),
    /** JSON. */
    result: text(),
    /** As encodeFailure writes it. */
    failure: text(),
  },
  (table) => [index("operations_age").on(table.isKeyed, table.startedAtMs)],
);
