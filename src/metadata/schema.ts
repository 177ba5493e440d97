// Room: metadata. Owns the tables of a pool's database; `npm run migrations` turns a change here into a migration.
import { type SQL, sql } from "drizzle-orm";
import {
  type AnySQLiteColumn,
  check,
  foreignKey,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import { itemStates } from "../domain/batches.ts";
import { deviceStates, fsTypes } from "../domain/devices.ts";
import { type ErrorCode, errorCodes } from "../domain/errors.ts";
import type {
  BatchId,
  ChainId,
  DeviceId,
  DeviceName,
  Digest,
  OperationId,
  PoolName,
  Scope,
  SnapshotKey,
} from "../domain/identifiers.ts";
import { snapshotKinds } from "../domain/snapshots.ts";
import { type UnpackStage, unpackStages } from "../domain/unpack-stage.ts";

export const deviceRoles = ["snapshot", "template"] as const;
export const operationStates = ["intended", "settled"] as const;

/** `column IN ('a', 'b')`, written out: a CHECK constraint takes no parameters. */
const oneOf = (column: AnySQLiteColumn, values: readonly string[]): SQL =>
  sql`${column} in (${sql.raw(values.map((value) => `'${value}'`).join(", "))})`;

/**
 * One row: what the pool is. `transactionId` grows by one whenever a worker takes the pool over. `owner` is this
 * database's own number, chosen at random at the first take-over: with both, a pool can tell whose it is.
 */
export const pool = sqliteTable(
  "pool",
  {
    only: integer().primaryKey(),
    name: text().$type<PoolName>().notNull(),
    driver: text().notNull(),
    fsType: text("fs_type", { enum: fsTypes }).notNull(),
    deviceSizeBytes: integer("device_size_bytes").notNull(),
    transactionId: integer("transaction_id").notNull(),
    owner: integer(),
    createdAtMs: integer("created_at_ms").notNull(),
  },
  (table) => [check("pool_has_one_row", sql`${table.only} = 1`), check("pool_fs_type", oneOf(table.fsType, fsTypes))],
);

/**
 * What the column admits: more than is written. A narrower check would have SQLite rebuild the table, and forget the
 * numbers that were used.
 */
const admittedStates = [
  "creating",
  "created",
  "activating",
  "activated",
  "suspending",
  "suspended",
  "resuming",
  "resumed",
  "deactivating",
  "deactivated",
  "removing",
  "removed",
  "faulty",
] as const;

/**
 * Block devices. AUTOINCREMENT, because the number is part of the device's name and a name is never used twice.
 * `operationId` is the operation that is acting on the device right now.
 */
export const devices = sqliteTable(
  "devices",
  {
    number: integer().primaryKey({ autoIncrement: true }),
    deviceId: integer("device_id").$type<DeviceId>().notNull(),
    fsType: text("fs_type", { enum: fsTypes }).notNull(),
    sizeBytes: integer("size_bytes").notNull(),
    state: text({ enum: deviceStates }).notNull(),
    role: text({ enum: deviceRoles }).notNull(),
    /** Of a template: size, fs type and options that it was made with. */
    templateKey: text("template_key"),
    operationId: text("operation_id").$type<OperationId>(),
    /** Of a template: when a device was last made of it. */
    lastUsedAtMs: integer("last_used_at_ms"),
  },
  (table) => [
    uniqueIndex("devices_device_id").on(table.deviceId),
    uniqueIndex("devices_template_key").on(table.templateKey),
    index("devices_state").on(table.state),
    index("devices_operation").on(table.operationId),
    check("devices_device_id_24_bit", sql`${table.deviceId} between 0 and 16777215`),
    check("devices_size", sql`${table.sizeBytes} > 0`),
    check("devices_fs_type", oneOf(table.fsType, fsTypes)),
    check("devices_state_known", oneOf(table.state, admittedStates)),
    check("devices_role_known", oneOf(table.role, deviceRoles)),
    check("devices_template_has_key", sql`(${table.role} = 'template') = (${table.templateKey} is not null)`),
  ],
);

/** Device IDs that were used and may be used again: their device's deletion was confirmed. */
export const freeDeviceIds = sqliteTable(
  "free_device_ids",
  { deviceId: integer("device_id").$type<DeviceId>().primaryKey() },
  (table) => [check("free_device_ids_24_bit", sql`${table.deviceId} between 0 and 16777215`)],
);

/** Devices that were found in the pool under numbers that this database had not reached: not ours, never touched. */
export const foreignDevices = sqliteTable("foreign_devices", {
  name: text().$type<DeviceName>().primaryKey(),
});

/** The same by ID, where a pool knows its devices by nothing else: never handed out, never deleted. */
export const foreignDeviceIds = sqliteTable("foreign_device_ids", {
  deviceId: integer("device_id").$type<DeviceId>().primaryKey(),
});

/** Snapshots, apart from their devices: several may share one. `usedBytes`: all that the device maps, at commit. */
export const snapshots = sqliteTable(
  "snapshots",
  {
    number: integer().primaryKey({ autoIncrement: true }),
    scope: text().$type<Scope>().notNull(),
    key: text().$type<SnapshotKey>().notNull(),
    kind: text({ enum: snapshotKinds }).notNull(),
    parent: integer().references((): AnySQLiteColumn => snapshots.number),
    device: integer()
      .notNull()
      .references(() => devices.number),
    usedBytes: integer("used_bytes"),
    createdAtMs: integer("created_at_ms").notNull(),
    updatedAtMs: integer("updated_at_ms").notNull(),
  },
  (table) => [
    uniqueIndex("snapshots_scope_key").on(table.scope, table.key),
    index("snapshots_parent").on(table.parent),
    index("snapshots_device").on(table.device),
    check("snapshots_kind_known", oneOf(table.kind, snapshotKinds)),
    check("snapshots_committed_has_usage", sql`(${table.kind} = 'committed') = (${table.usedBytes} is not null)`),
  ],
);

/** Labels in a table of their own, so that a filter on one is an index look-up. */
export const labels = sqliteTable(
  "labels",
  {
    snapshot: integer()
      .notNull()
      .references(() => snapshots.number, { onDelete: "cascade" }),
    name: text().notNull(),
    value: text().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.snapshot, table.name] }),
    index("labels_name_value").on(table.name, table.value),
    check("labels_not_empty", sql`${table.value} <> ''`),
  ],
);

/** The journal: intent before the first effect, the answer in the transaction that settles it. */
export const operations = sqliteTable(
  "operations",
  {
    operationId: text("operation_id").$type<OperationId>().primaryKey(),
    job: text().notNull(),
    payloadHash: text("payload_hash").notNull(),
    state: text({ enum: operationStates }).notNull(),
    /** JSON. */
    result: text(),
    /** As domain/errors.ts encodes it. */
    failure: text(),
    intendedAtMs: integer("intended_at_ms").notNull(),
    settledAtMs: integer("settled_at_ms"),
  },
  (table) => [
    index("operations_state_settled").on(table.state, table.settledAtMs),
    check("operations_state_known", oneOf(table.state, operationStates)),
    check(
      "operations_settled_has_answer",
      sql`(${table.state} = 'settled') = ((${table.result} is null) <> (${table.failure} is null))`,
    ),
  ],
);

/** Images that were unpacked. `layers` is JSON. `pinnedAtMs`: not to be removed by anything until it is unpinned. */
export const images = sqliteTable(
  "images",
  {
    manifestDigest: text("manifest_digest").$type<Digest>().notNull(),
    platform: text().notNull(),
    chainId: text("chain_id").$type<ChainId>().notNull(),
    layers: text().notNull(),
    unpackedAtMs: integer("unpacked_at_ms").notNull(),
    /** By any name, also one that it no longer has. */
    lastAskedAtMs: integer("last_asked_at_ms").notNull(),
    pinnedAtMs: integer("pinned_at_ms"),
    /** Its removal was asked for: what only other snapshots still use of it goes when they are gone. */
    removedAtMs: integer("removed_at_ms"),
  },
  (table) => [
    primaryKey({ columns: [table.manifestDigest, table.platform] }),
    index("images_chain_id").on(table.chainId),
  ],
);

/**
 * Which image a reference means. `firstAtMs`: since when. `resolvedDigest`: what a registry says that the reference is,
 * where that is not the manifest's own digest but that of an index.
 */
export const imageNames = sqliteTable(
  "image_names",
  {
    reference: text().notNull(),
    platform: text().notNull(),
    manifestDigest: text("manifest_digest").$type<Digest>().notNull(),
    resolvedDigest: text("resolved_digest").$type<Digest>(),
    firstAtMs: integer("first_at_ms").notNull(),
    lastAskedAtMs: integer("last_asked_at_ms").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.reference, table.platform] }),
    foreignKey({
      columns: [table.manifestDigest, table.platform],
      foreignColumns: [images.manifestDigest, images.platform],
    }).onDelete("cascade"),
    index("image_names_manifest_digest").on(table.manifestDigest),
    index("image_names_resolved_digest").on(table.resolvedDigest),
  ],
);

/**
 * What must still be queued, however often Redis forgets it. `payload` is JSON. A cancelled entry is not queued again; it
 * stays for as long as the journal remembers, so that a worker that still has the job gives it up.
 */
export const outbox = sqliteTable(
  "outbox",
  {
    operationId: text("operation_id").$type<OperationId>().primaryKey(),
    job: text().notNull(),
    payload: text().notNull(),
    createdAtMs: integer("created_at_ms").notNull(),
    cancelledAtMs: integer("cancelled_at_ms"),
  },
  (table) => [
    index("outbox_created").on(table.createdAtMs),
    // Of the devices that wait for their removal, there may be thousands.
    index("outbox_removals").on(table.payload).where(sql`job = 'remove-device'`),
  ],
);

/** Operations that were being executed when a worker died: how often, and the run of the worker that died last. */
export const strikes = sqliteTable("strikes", {
  operationId: text("operation_id").$type<OperationId>().primaryKey(),
  job: text().notNull(),
  deaths: integer().notNull(),
  lastRun: text("last_run").notNull(),
  lastAtMs: integer("last_at_ms").notNull(),
});

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
