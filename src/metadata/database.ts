// Room: metadata. Owns how a database is opened, and what a transaction and a prepared statement on it are.
import { Database as SqliteDatabase } from "bun:sqlite";
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { observed } from "../domain/tally.ts";
import { hasRoomFor } from "../system/file/space.ts";
import { applyMigrations, checkMigrations, poolSchema, type Schema } from "./migrations.ts";

/** A pool's database, or that of `up`. All calls are synchronous; one process at a time has it open for writing. */
export interface Database extends Disposable {
  readonly path: string;
  readonly drizzle: ReturnType<typeof drizzle>;
  close(): void;
}

/** How long a reader waits for a lock (a checkpoint, another process's recovery) before SQLITE_BUSY. */
const busyTimeoutMs = 5000;

/**
 * Opens the database at `path`. `readwrite` (its one writer only) makes it when missing and brings its schema up to
 * date; `readonly` is for every other process, also while the writer writes. Default: a pool's database.
 *
 * Throws not_found when there is none to read, failed_precondition when its schema is not this program's, and where its
 * file or its disk is at fault.
 */
export function openDatabase(
  path: string,
  { mode, schema = poolSchema }: { readonly mode: "readwrite" | "readonly"; readonly schema?: Schema },
): Database {
  if (mode === "readonly" && !existsSync(path)) {
    throw notFound(`there is no ${schema.content} here yet (${path} does not exist): start one with 'snapmill up'`);
  }
  requireRoomForIndex(path);
  const client = openFile(path, mode, schema);
  try {
    client.run(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    if (mode === "readwrite") configureWriter(client);
    const handle = drizzle(client);
    if (mode === "readwrite") applyMigrations(client, handle, { path, schema });
    else checkMigrations(client, { path, schema });
    // With its statements: SQLite would keep it open until they are collected, and a process that ends before checkpoints
    // it, for which a reader takes the writer's lock and waits for the disk twice.
    const close = () => client.close(true);
    return { path, drizzle: handle, close, [Symbol.dispose]: close };
  } catch (error) {
    client.close(true);
    throw openingFailure(path, error, schema);
  }
}

function openFile(path: string, mode: "readwrite" | "readonly", schema: Schema): SqliteDatabase {
  try {
    return new SqliteDatabase(path, mode === "readwrite" ? { readwrite: true, create: true } : { readonly: true });
  } catch (error) {
    throw openingFailure(path, error, schema);
  }
}

/** What SQLite's index of the -wal file takes up at first. */
const indexBytes = 32_768;

/**
 * SQLite maps that index into memory. It allocates a byte in each of its pages before: where blocks are smaller than pages
 * and the disk is full, the others cannot be had, and the process that touches one is killed (SIGBUS).
 */
function requireRoomForIndex(path: string): void {
  const directory = dirname(path);
  const allocatedBytes = (statSync(`${path}-shm`, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  if (allocatedBytes >= indexBytes || !existsSync(directory)) return;
  if (!hasRoomFor(directory, indexBytes)) {
    throw failedPrecondition(`${path} cannot be opened: its disk is full, make room there`);
  }
}

/** Failures that an operator can mend say how. */
function openingFailure(path: string, error: unknown, { whenDamaged }: Schema): unknown {
  const trouble = sqliteErrorIn(error);
  if (trouble === undefined) return error;
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(trouble.code)) {
    return failedPrecondition(`${path} is damaged (${trouble.message}): ${whenDamaged}`, error);
  }
  if (trouble.code.startsWith("SQLITE_FULL")) {
    return failedPrecondition(`${path} cannot be written to (${trouble.message}): make room on its disk`, error);
  }
  if (/^SQLITE_(IOERR|CANTOPEN|READONLY)/.test(trouble.code)) {
    const wayOut = "look whether its disk is full, read-only or faulty, and whose the file is";
    return failedPrecondition(`${path} cannot be opened (${trouble.message}): ${wayOut}`, error);
  }
  return error;
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
  const begunMs = performance.now();
  depth += 1;
  try {
    const result = within(database, "immediate", body);
    writeTroubles.delete(database);
    return result;
  } catch (error) {
    const trouble = sqliteErrorIn(error);
    if (trouble !== undefined && writeTroubleCodes.test(trouble.code)) writeTroubles.set(database, trouble.message);
    throw error;
  } finally {
    depth -= 1;
    if (depth === 0) {
      observed.observe("snapmill_sqlite_transaction_seconds", {}, (performance.now() - begunMs) / 1000);
    }
  }
}

/** Of the transaction that runs: those within another one are savepoints. */
let depth = 0;

/** How a transaction begins and ends, or a savepoint in it: prepared, since parsing takes longer than the rest. */
const bounds = statements(({ $client: client }) => {
  const prepareAll = (begin: string, end: string, undo: readonly string[]) => ({
    begin: client.prepare(begin),
    end: client.prepare(end),
    undo: undo.map((statement) => client.prepare(statement)),
  });
  return {
    immediate: prepareAll("begin immediate", "commit", ["rollback"]),
    deferred: prepareAll("begin deferred", "commit", ["rollback"]),
    savepoint: prepareAll("savepoint step", "release step", ["rollback to step", "release step"]),
  };
});

function within<T>(database: Database, kind: "immediate" | "deferred", body: () => T): T {
  const client = database.drizzle.$client;
  const { begin, end, undo } = bounds(database)[client.inTransaction ? "savepoint" : kind];
  begin.run();
  try {
    const result = body();
    end.run();
    return result;
  } catch (error) {
    // On a full disk SQLite has rolled all of it back by itself.
    if (client.inTransaction) for (const statement of undo) statement.run();
    throw error;
  }
}

/** Why the last transaction of a database could not be written; gone with the first that can. */
const writeTroubles = new WeakMap<Database, string>();

/** What SQLite says when the disk is full, broken or read-only, or another process keeps the database locked. */
const writeTroubleCodes = /^SQLITE_(FULL|IOERR|READONLY|CORRUPT|NOTADB|CANTOPEN|BUSY|LOCKED)/;

/** SQLite's own error, also where drizzle has put one of its own around it. */
function sqliteErrorIn(error: unknown): { readonly code: string; readonly message: string } | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && String(error.code).startsWith("SQLITE_")) {
    return { code: String(error.code), message: error.message };
  }
  return sqliteErrorIn(error.cause);
}

/**
 * Why the database cannot be written to; undefined when it can, as far as is known. Once a transaction has failed, each
 * call tries to write (a page that stays as it is), so that the end of the trouble shows by itself.
 */
export function writeTrouble(database: Database): string | undefined {
  if (!writeTroubles.has(database)) return undefined;
  try {
    transactSoon(database, () => rewritePage(database));
  } catch {
    // Noted above.
  }
  return writeTroubles.get(database);
}

/** Writes a page that stays as it is. */
function rewritePage({ drizzle: handle }: Database): void {
  const row = handle.get<[number]>("PRAGMA user_version");
  handle.run(`PRAGMA user_version = ${Number(row?.[0] ?? 0)}`);
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

/**
 * Waits until everything that was committed is on disk. A checkpoint would not do: while a reader is there
 * that began after the last one, it syncs nothing, and succeeds all the same.
 */
export const makeDurable = (database: Database): void => transact(database, () => rewritePage(database));

/** Runs `body`, which only reads, on one state of the database. */
export function readConsistently<T>(database: Database, body: () => Synchronous<T>): Synchronous<T> {
  return within(database, "deferred", body);
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

/** Differs after every transaction that changed rows, of this connection or another's; reads no page of the file. */
export function writeStamp({ drizzle: handle }: Database): string {
  const row = handle.get<[number, number]>(sql`select data_version, total_changes() from pragma_data_version`);
  return row.join(":");
}
