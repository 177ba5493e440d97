// Room: metadata. Owns the one row that says what the pool is, and who may write.
import { eq, sql } from "drizzle-orm";
import type { FsType } from "../domain/devices.ts";
import { aborted, failedPrecondition } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import { type Database, statements, transact } from "./database.ts";
import { pool } from "./schema.ts";

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
      createdAtMs: pool.createdAtMs,
    })
    .from(pool)
    .limit(1)
    .prepare(),
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

/**
 * Writes down what the pool is, and takes it over: whoever took it before can no longer write. Returns the new
 * transaction ID. Throws failed_precondition when the database is another pool's, or another driver's.
 */
export function takePoolOver(database: Database, record: PoolRecord): number {
  return transact(database, () => {
    const existing = readPool(database);
    if (existing === undefined) {
      database.drizzle
        .insert(pool)
        .values({ only: 1, ...record, transactionId: 1, createdAtMs: Date.now() })
        .run();
      return 1;
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
      .set({ fsType, deviceSizeBytes, transactionId: sql`${pool.transactionId} + 1` })
      .where(eq(pool.only, 1))
      .run();
    return existing.transactionId + 1;
  });
}

/** Throws aborted unless `transactionId` is still the latest take-over. Call it in the transaction that writes. */
export function assertPoolOwned(database: Database, transactionId: number): void {
  const current = readPool(database)?.transactionId ?? 0;
  if (current === transactionId) return;
  throw aborted(
    `another worker has taken the pool over (its take-over is number ${current}, ours was ${transactionId})`,
  );
}
