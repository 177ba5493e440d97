// Room: metadata. Owns how a pool's database is opened, and what a transaction and a prepared statement on it are.
import { Database as SqliteDatabase } from "bun:sqlite";
import { existsSync } from "node:fs";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { notFound } from "../domain/errors.ts";
import { applyMigrations, checkMigrations } from "./migrations.ts";

/** A pool's database. All calls are synchronous; one process at a time has it open for writing. */
export interface Database extends Disposable {
  readonly path: string;
  readonly drizzle: ReturnType<typeof drizzle>;
  close(): void;
}

/** How long a reader waits for a lock (a checkpoint, another process's recovery) before SQLITE_BUSY. */
const busyTimeoutMs = 5000;

/**
 * Opens the database at `path`. `readwrite` (the pool's worker only) makes it when missing and brings its schema up to
 * date; `readonly` is for every other process, also while the worker writes.
 *
 * Throws not_found when there is none to read, failed_precondition when its schema is not this program's.
 */
export function openDatabase(path: string, { mode }: { mode: "readwrite" | "readonly" }): Database {
  if (mode === "readonly" && !existsSync(path)) {
    throw notFound(`there is no pool here yet (${path} does not exist): start one with 'snapmill up'`);
  }
  const client = new SqliteDatabase(
    path,
    mode === "readwrite" ? { readwrite: true, create: true } : { readonly: true },
  );
  try {
    client.run(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    if (mode === "readwrite") configureWriter(client);
    const handle = drizzle(client);
    if (mode === "readwrite") applyMigrations(client, handle, path);
    else checkMigrations(client, path);
    const close = () => client.close();
    return { path, drizzle: handle, close, [Symbol.dispose]: close };
  } catch (error) {
    client.close();
    throw error;
  }
}

function configureWriter(client: SqliteDatabase): void {
  client.run("PRAGMA journal_mode = WAL");
  // Not NORMAL: after a power cut SQLite must not be behind the pool, or a reused device ID shows another's content.
  client.run("PRAGMA synchronous = FULL");
  client.run("PRAGMA foreign_keys = ON");
}

/** A result that is not a promise: drizzle does not roll back when an asynchronous callback fails. */
type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

/** Runs `body` in one transaction, or in a savepoint when one is open already: all of it happens, or nothing. */
export function transact<T>(database: Database, body: () => Synchronous<T>): Synchronous<T> {
  return database.drizzle.transaction(body, { behavior: "immediate" });
}

/**
 * The same, without waiting for the disk: a process that dies loses nothing of it, a power cut may. The next `transact`
 * makes it durable as well, or `makeDurable`.
 */
export function transactSoon<T>(database: Database, body: () => Synchronous<T>): Synchronous<T> {
  const { drizzle: handle } = database;
  handle.run("PRAGMA synchronous = NORMAL");
  try {
    return transact(database, body);
  } finally {
    handle.run("PRAGMA synchronous = FULL");
  }
}

/** Waits until everything that was committed is on disk (a checkpoint begins with that: sqlite.org/wal.html). */
export const makeDurable = (database: Database): void => database.drizzle.run("PRAGMA wal_checkpoint(PASSIVE)");

/** Runs `body`, which only reads, on one state of the database. */
export function readConsistently<T>(database: Database, body: () => Synchronous<T>): Synchronous<T> {
  return database.drizzle.transaction(body, { behavior: "deferred" });
}

/**
 * A set of prepared statements, made once for each open database: a prepared read takes a seventh of the time of one
 * that is built and parsed anew.
 */
export function statements<T>(prepare: (handle: Database["drizzle"]) => T): (database: Database) => T {
  const prepared = new WeakMap<Database, T>();
  return (database) => {
    const known = prepared.get(database);
    if (known !== undefined) return known;
    const made = prepare(database.drizzle);
    prepared.set(database, made);
    return made;
  };
}
