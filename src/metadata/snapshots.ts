// Room: metadata. Owns the records of snapshots: how they are read, one at a time.
import { and, count, eq, getTableColumns, ne, sql } from "drizzle-orm";
import { failedPrecondition, notFound } from "../domain/errors.ts";
import type { DeviceName, Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Labels, Mount, Snapshot, SnapshotKind, Usage } from "../domain/snapshots.ts";
import { mountOptions } from "../system/mount/filesystems.ts";
import { type Database, readConsistently, statements } from "./database.ts";
import { type DeviceRecord, findDevice, toDeviceRecord } from "./devices.ts";
import { devices, snapshots } from "./schema.ts";

/** A snapshot as it is recorded: what every reader sees, and the rows that it is tied to. */
export interface SnapshotRecord extends Snapshot {
  readonly number: number;
  readonly parentNumber: number | undefined;
  readonly deviceNumber: number;
  /** Bytes that the device mapped at commit, the parent's included; undefined unless committed. */
  readonly usedBytes: number | undefined;
}

/**
 * Everything of a snapshot in one statement, so that it is of one moment: labels as a JSON object. The parent's key by a
 * query of its own: a join takes SQLite three times as long, for a snapshot as for a page of them.
 */
export const snapshotColumns = {
  ...getTableColumns(snapshots),
  parentKey: sql<SnapshotKey | null>`(select parents.key from snapshots parents where parents.number = snapshots.parent)`,
  labels: sql<string>`(select json_group_object(name, value) from labels where snapshot = snapshots.number)`,
};

type SnapshotRow = typeof snapshots.$inferSelect & { readonly parentKey: SnapshotKey | null; readonly labels: string };

const toSnapshotRecord = (row: SnapshotRow): SnapshotRecord => ({
  ...toSnapshot(row),
  number: row.number,
  parentNumber: row.parent ?? undefined,
  deviceNumber: row.device,
  usedBytes: row.usedBytes ?? undefined,
});

export const toSnapshot = (row: SnapshotRow): Snapshot => ({
  scope: row.scope,
  key: row.key,
  kind: row.kind,
  parent: row.parentKey ?? undefined,
  labels: JSON.parse(row.labels) as Labels,
  createdAtMs: row.createdAtMs,
  updatedAtMs: row.updatedAtMs,
});

/** A column of the one snapshot that is asked for, as a query of its own: see `snapshotColumns`. */
const ofSnapshot = <Column>(column: "kind" | "device") => sql<Column>`(select ${sql.raw(column)} from snapshots
  where scope = ${sql.placeholder("scope")} and key = ${sql.placeholder("key")})`;

const prepared = statements((handle) => ({
  underKey: handle
    .select({ ...getTableColumns(devices), kind: ofSnapshot<SnapshotKind>("kind") })
    .from(devices)
    .where(eq(devices.number, ofSnapshot<number>("device")))
    .prepare(),
  find: handle
    .select(snapshotColumns)
    .from(snapshots)
    .where(and(eq(snapshots.scope, sql.placeholder("scope")), eq(snapshots.key, sql.placeholder("key"))))
    .prepare(),
  child: handle
    .select({ key: snapshots.key })
    .from(snapshots)
    .where(eq(snapshots.parent, sql.placeholder("number")))
    .limit(1)
    .prepare(),
  sharer: handle
    .select({ key: snapshots.key })
    .from(snapshots)
    .where(and(eq(snapshots.device, sql.placeholder("device")), ne(snapshots.number, sql.placeholder("number"))))
    .limit(1)
    .prepare(),
  usedBytes: handle
    .select({ usedBytes: snapshots.usedBytes })
    .from(snapshots)
    .where(eq(snapshots.number, sql.placeholder("number")))
    .prepare(),
  onDevice: handle
    .select(snapshotColumns)
    .from(snapshots)
    .where(eq(snapshots.device, sql.placeholder("device")))
    .prepare(),
}));

export function lookUpSnapshot(database: Database, scope: Scope, key: SnapshotKey): SnapshotRecord | undefined {
  const row = prepared(database).find.get({ scope, key });
  return row === undefined ? undefined : toSnapshotRecord(row);
}

/** The snapshot named `key`. Throws not_found. */
export function findSnapshot(database: Database, scope: Scope, key: SnapshotKey): SnapshotRecord {
  const snapshot = lookUpSnapshot(database, scope, key);
  if (snapshot === undefined) throw noSnapshot(scope, key);
  return snapshot;
}

const noSnapshot = (scope: Scope, key: SnapshotKey) =>
  notFound(`snapshot ${JSON.stringify(key)} does not exist in scope ${scope}`);

/** The device under a snapshot. Throws not_found when there is no such snapshot. */
export function deviceOf(database: Database, scope: Scope, key: SnapshotKey): DeviceRecord {
  return readConsistently(database, () => deviceUnder(database, findSnapshot(database, scope, key)));
}

export function deviceUnder(database: Database, snapshot: SnapshotRecord): DeviceRecord {
  const device = findDevice(database, snapshot.deviceNumber);
  if (device === undefined) throw notFound(`snapshot ${JSON.stringify(snapshot.key)} has lost its device`);
  return device;
}

/**
 * How to mount an active or view snapshot; `devicePath` is the driver's. Throws not_found, and failed_precondition for a
 * committed one, which only a view shows.
 */
export function mountsOf(
  database: Database,
  scope: Scope,
  key: SnapshotKey,
  devicePath: (deviceName: DeviceName) => string,
): Mount[] {
  // In one statement, which is of one moment without a transaction.
  const row = prepared(database).underKey.get({ scope, key });
  if (row === undefined) throw noSnapshot(scope, key);
  if (row.kind === "committed") {
    throw failedPrecondition(`snapshot ${JSON.stringify(key)} is committed: prepare or view a child of it to mount it`);
  }
  return [mountOf(row.kind, toDeviceRecord(database, row), devicePath)];
}

export function mountOf(
  kind: "active" | "view",
  device: DeviceRecord,
  devicePath: (deviceName: DeviceName) => string,
): Mount {
  if (device.state === "faulty") {
    throw failedPrecondition(`device ${device.deviceName} is faulty: its content is no longer in the pool`);
  }
  const options = mountOptions(device.fsType, kind === "view");
  return { type: device.fsType, source: devicePath(device.deviceName), options };
}

/** What a committed snapshot holds of its own, as measured at commit; undefined when only the driver knows. */
export function storedUsage(database: Database, scope: Scope, key: SnapshotKey): Usage | undefined {
  return readConsistently(database, () => {
    const snapshot = findSnapshot(database, scope, key);
    return snapshot.usedBytes === undefined ? undefined : ownUsage(database, snapshot, snapshot.usedBytes);
  });
}

/**
 * The usage of a snapshot whose device maps `usedBytes`: the parent's subtracted, never below nothing (blocks may have
 * been discarded). Inodes are 0, as with containerd's devmapper: only a mounted file system could count them.
 */
export function ownUsage(database: Database, snapshot: SnapshotRecord, usedBytes: number): Usage {
  return { sizeBytes: Math.max(0, usedBytes - inheritedBytes(database, snapshot)), inodes: 0 };
}

/** What the snapshot under this one maps; 0 when there is none. */
export function inheritedBytes(database: Database, { parentNumber }: Pick<SnapshotRecord, "parentNumber">): number {
  if (parentNumber === undefined) return 0;
  return prepared(database).usedBytes.get({ number: parentNumber })?.usedBytes ?? 0;
}

/** The key of one of a snapshot's children, if it has any. */
export const childOf = (database: Database, snapshot: SnapshotRecord): SnapshotKey | undefined =>
  prepared(database).child.get({ number: snapshot.number })?.key;

/** Whether the snapshot's device is another snapshot's too. */
export const sharesDevice = (database: Database, snapshot: SnapshotRecord): boolean =>
  prepared(database).sharer.get({ number: snapshot.number, device: snapshot.deviceNumber }) !== undefined;

/** The snapshots that a device holds: one, unless several scopes share it. */
export const snapshotsOn = (database: Database, deviceNumber: number): SnapshotRecord[] =>
  prepared(database).onDevice.all({ device: deviceNumber }).map(toSnapshotRecord);

/** How many snapshots of each kind there are, in all scopes together. */
export function countSnapshotsByKind(database: Database): Readonly<Record<SnapshotKind, number>> {
  const rows = database.drizzle
    .select({ kind: snapshots.kind, count: count() })
    .from(snapshots)
    .groupBy(snapshots.kind)
    .all();
  return { active: 0, view: 0, committed: 0, ...Object.fromEntries(rows.map((row) => [row.kind, row.count])) };
}
