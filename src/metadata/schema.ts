// Room: metadata. Owns the tables of a pool's database; `npm run migrations` turns a change here into a migration.
import { sql } from "drizzle-orm";
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
import { deviceStates, fsTypes } from "../domain/devices.ts";
import type {
  ChainId,
  DeviceId,
  DeviceName,
  Digest,
  OperationId,
  PoolName,
  Scope,
  SnapshotKey,
} from "../domain/identifiers.ts";
import { holdKinds, queueKinds } from "../domain/queues.ts";
import { snapshotKinds } from "../domain/snapshots.ts";
import { oneOf } from "./one-of.ts";

export const deviceRoles = ["snapshot", "template"] as const;
export const operationStates = ["intended", "settled"] as const;

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
    /** Of the work that wrote it: its job is part of the same trace. */
    traceparent: text(),
  },
  (table) => [
    index("outbox_created").on(table.createdAtMs),
    // Of the devices that wait for their removal, there may be thousands.
    index("outbox_removals").on(table.payload).where(sql`job = 'remove-device'`),
  ],
);

/**
 * What is known of a device's removal besides its entry in the outbox, with which it goes. `scope` and `key`: of the last
 * snapshot on the device. `givenUpAtMs`: not tried any more, until the next start or until it is asked for.
 * `discardedAtMs`: not tried any more until it is asked for.
 */
export const removals = sqliteTable(
  "removals",
  {
    operationId: text("operation_id")
      .$type<OperationId>()
      .primaryKey()
      .references(() => outbox.operationId, { onDelete: "cascade" }),
    scope: text().$type<Scope>(),
    key: text().$type<SnapshotKey>(),
    /** Mapped by the device, where it was measured; and by the snapshot under it, which keeps that much. */
    usedBytes: integer("used_bytes"),
    inheritedBytes: integer("inherited_bytes").notNull().default(0),
    attempts: integer().notNull().default(0),
    lastError: text("last_error"),
    failingSinceMs: integer("failing_since_ms"),
    lastFailedAtMs: integer("last_failed_at_ms"),
    nextTryAtMs: integer("next_try_at_ms"),
    givenUpAtMs: integer("given_up_at_ms"),
    discardedAtMs: integer("discarded_at_ms"),
    discardReason: text("discard_reason"),
  },
  (table) => [
    index("removals_given_up").on(table.givenUpAtMs).where(sql`${table.givenUpAtMs} is not null`),
    check("removals_discarded_has_reason", sql`(${table.discardedAtMs} is null) = (${table.discardReason} is null)`),
  ],
);

/**
 * Queues whose jobs are kept and not executed: who asked for that, why and since when. `handOverAtMs`: since when unpacks
 * that run end before their next layer, and wait.
 */
export const queueHolds = sqliteTable(
  "queue_holds",
  {
    queue: text({ enum: queueKinds }).primaryKey(),
    kind: text({ enum: holdKinds }).notNull(),
    heldBy: text("held_by").notNull(),
    reason: text().notNull(),
    sinceMs: integer("since_ms").notNull(),
    handOverAtMs: integer("hand_over_at_ms"),
  },
  (table) => [
    check("queue_holds_queue_known", oneOf(table.queue, queueKinds)),
    check("queue_holds_kind_known", oneOf(table.kind, holdKinds)),
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
