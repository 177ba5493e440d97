// Room: metadata. Owns the one row that says what the pool is, and who may write.
import { randomInt } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import type { FsType } from "../domain/devices.ts";
import { aborted, failedPrecondition, unavailable } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import { type Database, statements, transact } from "./database.ts";
import {
  devices,
  foreignDeviceIds,
  foreignDevices,
  freeDeviceIds,
  images,
  operations,
  outbox,
  pool,
  snapshots,
} from "./schema.ts";

/** What a pool was made as; the file system and size are the defaults for its base snapshots. */
export interface PoolRecord {
  readonly name: PoolName;
  readonly driver: string;
  readonly fsType: FsType;
  readonly deviceSizeBytes: number;
}

const prepared = statements((handle) => ({
  read: handle
    .select({
      name: pool.name,
      driver: pool.driver,
      fsType: pool.fsType,
      deviceSizeBytes: pool.deviceSizeBytes,
      transactionId: pool.transactionId,
      owner: pool.owner,
      createdAtMs: pool.createdAtMs,
    })
    .from(pool)
    .limit(1)
    .prepare(),
  takeOver: handle.select({ number: pool.transactionId }).from(pool).limit(1).prepare(),
}));

export const readPool = (database: Database) => prepared(database).read.get();

const names = new WeakMap<Database, PoolName>();

/** The pool's name, part of every device's name. Throws failed_precondition before a worker has been there. */
export function poolNameOf(database: Database): PoolName {
  const known = names.get(database) ?? readPool(database)?.name;
  if (known === undefined) throw failedPrecondition(`${database.path} has no pool yet: start one with 'snapmill up'`);
  names.set(database, known);
  return known;
}

/** A take-over of the pool: by which database, and the number of this take-over. See `Ownership` of the driver port. */
export interface TakeOver {
  /** 1 to 2^28-1; the same for the database's whole life. */
  readonly owner: number;
  readonly takeOver: number;
}

/** The latest that this database knows of; undefined: there was none. */
export function lastTakeOver(database: Database): TakeOver | undefined {
  const { owner, transactionId: takeOver } = readPool(database) ?? {};
  return typeof owner === "number" && takeOver !== undefined ? { owner, takeOver } : undefined;
}

/**
 * Writes down what the pool is, and takes it over: a process that took it before can no longer write. Throws
 * failed_precondition when the database is another pool's, or another driver's.
 */
export function takePoolOver(database: Database, record: PoolRecord): TakeOver {
  return transact(database, () => {
    const existing = readPool(database);
    const owner = existing?.owner ?? randomOwner();
    if (existing === undefined) {
      database.drizzle
        .insert(pool)
        .values({ only: 1, ...record, transactionId: 1, owner, createdAtMs: Date.now() })
        .run();
      return { owner, takeOver: 1 };
    }
    for (const field of ["name", "driver"] as const) {
      if (existing[field] === record[field]) continue;
      throw failedPrecondition(
        `${database.path} is of a pool whose ${field} is ${existing[field]}, not ${record[field]}: it cannot be changed`,
      );
    }
    const { fsType, deviceSizeBytes } = record;
    database.drizzle
      .update(pool)
      .set({ fsType, deviceSizeBytes, owner, transactionId: sql`${pool.transactionId} + 1` })
      .where(eq(pool.only, 1))
      .run();
    return { owner, takeOver: existing.transactionId + 1 };
  });
}

const largestOwner = 2 ** 28 - 1;
const randomOwner = (): number => randomInt(1, largestOwner + 1);

/**
 * Forgets every device and snapshot of a pool that is lost, in the caller's transaction; returns how many
 * devices there were. Numbers go on from where they are: no device gets a name that was used before.
 */
export function forgetContent(database: Database): number {
  const { drizzle: handle } = database;
  handle.delete(snapshots).run();
  const forgotten = handle.delete(devices).returning({ number: devices.number }).all().length;
  for (const table of [images, freeDeviceIds, foreignDevices, foreignDeviceIds]) handle.delete(table).run();
  handle.delete(outbox).where(eq(outbox.job, "remove-device")).run();
  handle.delete(operations).where(eq(operations.state, "intended")).run();
  return forgotten;
}

/** The database's number. Throws unavailable before the pool's worker has given it one. */
export function databaseNumber(database: Database): number {
  const number = lastTakeOver(database)?.owner;
  if (number === undefined) throw unavailable(`${database.path} has no number yet: its pool's worker gives it one`);
  return number;
}

/** Throws aborted unless `ours` is still the latest. Call it in the transaction that writes. */
export function assertPoolOwned(database: Database, ours: TakeOver | undefined): void {
  if (ours === undefined) throw aborted("this worker has not taken the pool over");
  const current = prepared(database).takeOver.get()?.number ?? 0;
  if (current === ours.takeOver) return;
  throw aborted(
    `another worker has taken the pool over (its take-over is number ${current}, ours was ${ours.takeOver})`,
  );
}
