// Room: metadata. Owns the records of block devices, and which device IDs are free.
import { and, asc, desc, eq, inArray, min, sql } from "drizzle-orm";
import type { DeviceRef, DeviceState, FsType } from "../domain/devices.ts";
import { resourceExhausted } from "../domain/errors.ts";
import {
  type DeviceId,
  type DeviceName,
  deviceId,
  deviceName,
  maxDeviceId,
  type OperationId,
} from "../domain/identifiers.ts";
import { type Database, statements } from "./database.ts";
import { poolNameOf } from "./pool.ts";
import { type deviceRoles, devices, foreignDeviceIds, foreignDevices, freeDeviceIds } from "./schema.ts";

type DeviceRow = typeof devices.$inferSelect;

/** A device as it is recorded: what a driver needs, and what the record knows besides. */
export interface DeviceRecord extends DeviceRef {
  readonly number: number;
  readonly fsType: FsType;
  readonly state: DeviceState;
  readonly role: (typeof deviceRoles)[number];
  /** The operation that is acting on the device, or was when the worker died. */
  readonly operationId: OperationId | undefined;
}

const prepared = statements((handle) => ({
  byNumber: handle
    .select()
    .from(devices)
    .where(eq(devices.number, sql.placeholder("number")))
    .prepare(),
  template: handle
    .select()
    .from(devices)
    .where(and(eq(devices.templateKey, sql.placeholder("templateKey")), eq(devices.state, "deactivated")))
    .prepare(),
  insert: handle
    .insert(devices)
    .values({
      deviceId: sql.placeholder("deviceId"),
      fsType: sql.placeholder("fsType"),
      sizeBytes: sql.placeholder("sizeBytes"),
      state: "creating",
      role: sql.placeholder("role"),
      templateKey: sql.placeholder("templateKey"),
      operationId: sql.placeholder("operationId"),
    })
    .returning()
    .prepare(),
  setState: handle
    .update(devices)
    .set({ state: sql`${sql.placeholder("state")}`, operationId: sql`${sql.placeholder("operationId")}` })
    .where(eq(devices.number, sql.placeholder("number")))
    .prepare(),
  touch: handle
    .update(devices)
    .set({ lastUsedAtMs: sql`${sql.placeholder("nowMs")}` })
    .where(and(eq(devices.number, sql.placeholder("number")), eq(devices.role, "template")))
    .prepare(),
  smallestFree: handle
    .select({ deviceId: min(freeDeviceIds.deviceId) })
    .from(freeDeviceIds)
    .prepare(),
  takeFree: handle
    .delete(freeDeviceIds)
    .where(eq(freeDeviceIds.deviceId, sql.placeholder("deviceId")))
    .prepare(),
  drop: handle
    .delete(devices)
    .where(eq(devices.number, sql.placeholder("number")))
    .prepare(),
  giveBack: handle
    .insert(freeDeviceIds)
    .values({ deviceId: sql.placeholder("deviceId") })
    .prepare(),
  foreign: handle
    .select()
    .from(foreignDeviceIds)
    .where(eq(foreignDeviceIds.deviceId, sql.placeholder("deviceId")))
    .prepare(),
  largestUsed: handle
    .select({ deviceId: devices.deviceId })
    .from(devices)
    .orderBy(desc(devices.deviceId))
    .limit(1)
    .prepare(),
}));

export const toDeviceRecord = (database: Database, row: DeviceRow): DeviceRecord => ({
  number: row.number,
  deviceId: row.deviceId,
  deviceName: deviceName(poolNameOf(database), row.number),
  sizeBytes: row.sizeBytes,
  fsType: row.fsType,
  state: row.state,
  role: row.role,
  operationId: row.operationId ?? undefined,
});

export function findDevice(database: Database, number: number): DeviceRecord | undefined {
  const row = prepared(database).byNumber.get({ number });
  return row === undefined ? undefined : toDeviceRecord(database, row);
}

/** The template of this `templateKey`, if one is ready. */
export function findTemplate(database: Database, templateKey: string): DeviceRecord | undefined {
  const row = prepared(database).template.get({ templateKey });
  return row === undefined ? undefined : toDeviceRecord(database, row);
}

/** Templates that are ready, least recently used first, with the time of their last use if it is known. */
export const listTemplates = (database: Database): (DeviceRecord & { readonly lastUsedAtMs: number | undefined })[] =>
  database.drizzle
    .select()
    .from(devices)
    .where(and(eq(devices.role, "template"), eq(devices.state, "deactivated")))
    .orderBy(asc(devices.lastUsedAtMs), asc(devices.number))
    .all()
    .map((row) => ({ ...toDeviceRecord(database, row), lastUsedAtMs: row.lastUsedAtMs ?? undefined }));

/** Notes that a device was made from the template just now. */
export function touchTemplate(database: Database, number: number): void {
  prepared(database).touch.run({ number, nowMs: Date.now() });
}

export interface NewDevice {
  readonly fsType: FsType;
  readonly sizeBytes: number;
  readonly operationId: OperationId | undefined;
  /** Of a template device only. */
  readonly templateKey?: string;
}

/** Adds a record in state `creating`, with a name that was never used and a free device ID. */
export function insertDevice(database: Database, device: NewDevice): DeviceRecord {
  const row = prepared(database).insert.get({
    deviceId: takeDeviceId(database),
    fsType: device.fsType,
    sizeBytes: device.sizeBytes,
    role: device.templateKey === undefined ? "snapshot" : "template",
    templateKey: device.templateKey ?? null,
    operationId: device.operationId ?? null,
  });
  return toDeviceRecord(database, row);
}

/** The smallest ID that was given back; else the one after the largest that was ever handed out. */
function takeDeviceId(database: Database): DeviceId {
  const { smallestFree, takeFree, largestUsed } = prepared(database);
  const free = smallestFree.get()?.deviceId ?? null;
  if (free !== null) {
    takeFree.run({ deviceId: free });
    return deviceId(free);
  }
  // None is free, so every ID that was ever handed out still has its row: the largest one is the high-water mark.
  let next = (largestUsed.get()?.deviceId ?? -1) + 1;
  while (isForeignId(database, next as DeviceId)) next += 1;
  if (next > maxDeviceId) throw resourceExhausted(`all ${maxDeviceId + 1} device IDs of the pool are in use`);
  return deviceId(next);
}

/** Records a device's state, and the operation that acts on it from now on (none: it is at rest). */
export function setDeviceState(
  database: Database,
  number: number,
  state: DeviceState,
  operationId?: OperationId,
): void {
  prepared(database).setState.run({ number, state, operationId: operationId ?? null });
}

/** Marks a half-made device, template or not, for removal. */
export function retireDevice(database: Database, number: number): void {
  database.drizzle
    .update(devices)
    .set({ role: "snapshot", templateKey: null, state: "removing", operationId: null })
    .where(eq(devices.number, number))
    .run();
}

/** Forgets a device whose deletion from the pool was confirmed: its ID may be used again, its name never. */
export function dropDevice(database: Database, { number, deviceId: freed }: DeviceRecord): void {
  prepared(database).drop.run({ number });
  prepared(database).giveBack.run({ deviceId: freed });
}

/** Whether this operation is acting on some device. */
export const hasDevice = (database: Database, operationId: OperationId): boolean =>
  database.drizzle
    .select({ number: devices.number })
    .from(devices)
    .where(eq(devices.operationId, operationId))
    .limit(1)
    .get() !== undefined;

/**
 * A device comes before those of the parents of its snapshots. Not by its own number: the device of a checkpoint is newer
 * than that of the snapshot above it. By the first snapshot of several, since others may be shown later, one by one.
 */
const childrenFirst = [
  sql`(select min(number) from snapshots where device = devices.number) desc nulls first`,
  desc(devices.number),
] as const;

/** All devices, children before their parents. */
export const listDevices = (database: Database): DeviceRecord[] =>
  database.drizzle
    .select()
    .from(devices)
    .orderBy(...childrenFirst)
    .all()
    .map((row) => toDeviceRecord(database, row));

/** At most `limit` devices in one of `states`, children before their parents. */
export const listDevicesInState = (database: Database, states: DeviceState[], limit: number): DeviceRecord[] =>
  database.drizzle
    .select()
    .from(devices)
    .where(inArray(devices.state, states))
    .orderBy(...childrenFirst)
    .limit(limit)
    .all()
    .map((row) => toDeviceRecord(database, row));

/** How many devices there are in each state; states without any are left out. */
export function countDevicesByState(database: Database): Partial<Record<DeviceState, number>> {
  const rows = database.drizzle
    .select({ state: devices.state, count: sql<number>`count(*)` })
    .from(devices)
    .groupBy(devices.state)
    .orderBy(asc(devices.state))
    .all();
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** The largest device number that was ever handed out. */
export function lastDeviceNumber(database: Database): number {
  const row = database.drizzle.get<[number] | undefined>(sql`select seq from sqlite_sequence where name = 'devices'`);
  return row?.[0] ?? 0;
}

/**
 * Writes down that a device of this name and number is in the pool and not ours: it is recognised from now on, and no
 * device of ours gets a number up to its.
 */
export function recordForeign(database: Database, name: DeviceName, number: number): void {
  database.drizzle.insert(foreignDevices).values({ name }).onConflictDoNothing().run();
  if (number <= lastDeviceNumber(database)) return;
  database.drizzle.run(sql`delete from sqlite_sequence where name = 'devices'`);
  database.drizzle.run(sql`insert into sqlite_sequence (name, seq) values ('devices', ${number})`);
}

export const isForeign = (database: Database, name: DeviceName): boolean =>
  database.drizzle.select().from(foreignDevices).where(eq(foreignDevices.name, name)).get() !== undefined;

/** Whether this database has handed the ID out, and was given it back. */
export const wasGivenBack = (database: Database, id: DeviceId): boolean =>
  database.drizzle.select().from(freeDeviceIds).where(eq(freeDeviceIds.deviceId, id)).get() !== undefined;

/** Writes down that something in the pool has this ID and is not ours: the ID is never handed out. */
export function recordForeignId(database: Database, id: DeviceId): void {
  database.drizzle.insert(foreignDeviceIds).values({ deviceId: id }).onConflictDoNothing().run();
}

const isForeignId = (database: Database, id: DeviceId): boolean =>
  prepared(database).foreign.get({ deviceId: id }) !== undefined;

/** IDs that are recorded as free although a device has them: the next device would overwrite that one. */
export const freeIdsInUse = (database: Database): DeviceId[] =>
  database.drizzle
    .select()
    .from(freeDeviceIds)
    .where(inArray(freeDeviceIds.deviceId, database.drizzle.select({ deviceId: devices.deviceId }).from(devices)))
    .all()
    .map(({ deviceId }) => deviceId);

/** Stops the ID from being handed out until its device is gone. */
export function takeFromFree(database: Database, deviceId: DeviceId): void {
  database.drizzle.delete(freeDeviceIds).where(eq(freeDeviceIds.deviceId, deviceId)).run();
}
