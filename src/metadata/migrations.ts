// Room: metadata. Owns how a database's schema is brought up to date, and when this program must not touch it.
import type { Database as SqliteDatabase } from "bun:sqlite";
import { join } from "node:path";
import type { drizzle } from "drizzle-orm/bun-sqlite";
import { migrate } from "drizzle-orm/bun-sqlite/migrator";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { failedPrecondition, internal, notFound } from "../domain/errors.ts";

/** What a database is for, and the migrations that drizzle-kit generated for it: part of the program. */
export interface Schema {
  readonly migrationsFolder: string;
  /** What is missing where there is no such database. */
  readonly content: string;
  readonly whenDamaged: string;
}

const drizzleFolder = join(import.meta.dir, "..", "..", "drizzle");

export const poolSchema: Schema = {
  migrationsFolder: drizzleFolder,
  content: "pool",
  whenDamaged: "restore it, with its -wal file, from a backup of the same time as the pool",
};

/** Of what `up` itself records. */
export const serviceSchema: Schema = {
  migrationsFolder: join(drizzleFolder, "service"),
  content: "audit log",
  whenDamaged: "move it away, with its -wal and -shm files; a new one is made",
};

interface Place {
  readonly path: string;
  readonly schema: Schema;
}

/** Applies what is missing, in one transaction. Throws failed_precondition for a schema of a newer program. */
export function applyMigrations(client: SqliteDatabase, handle: ReturnType<typeof drizzle>, place: Place): void {
  const { path, schema } = place;
  refuseUnknown(client, place);
  // A migration that rebuilds a table must not cascade into others; what it leaves is checked as a whole instead.
  client.run("PRAGMA foreign_keys = OFF");
  migrate(handle, schema);
  const broken = client.query("PRAGMA foreign_key_check").all();
  if (broken.length > 0) throw internal(`${path}: ${broken.length} rows refer to rows that do not exist`);
  client.run("PRAGMA foreign_keys = ON");
}

/**
 * For a reader, which cannot migrate: throws failed_precondition when the schema is older or newer than expected, and
 * not_found when there is none yet: the first worker makes the file first, and then all of the schema at once.
 */
export function checkMigrations(client: SqliteDatabase, place: Place): void {
  const { path, schema } = place;
  refuseUnknown(client, place);
  if (isEmpty(client)) {
    throw notFound(`there is no ${schema.content} here yet (${path} is empty): start one with 'snapmill up'`);
  }
  if (appliedHashes(client).length < readMigrationFiles(schema).length) {
    throw failedPrecondition(
      `${path} was written by an older snapmill: restart 'snapmill up', which brings it up to date`,
    );
  }
}

function refuseUnknown(client: SqliteDatabase, { path, schema }: Place): void {
  const known = new Set(readMigrationFiles(schema).map(({ hash }) => hash));
  if (appliedHashes(client).every((hash) => known.has(hash))) return;
  throw failedPrecondition(
    `${path} was written by a newer snapmill, with a schema that this one does not know: use that version, or newer`,
  );
}

/** Drizzle makes its own table before it begins the transaction that makes all others. */
function isEmpty(client: SqliteDatabase): boolean {
  return client.query("SELECT 1 FROM sqlite_master WHERE tbl_name <> '__drizzle_migrations'").get() === null;
}

function appliedHashes(client: SqliteDatabase): readonly string[] {
  const table = client.query("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'").get();
  if (table === null) return [];
  return client
    .query<{ hash: string }, []>("SELECT hash FROM __drizzle_migrations")
    .all()
    .map(({ hash }) => hash);
}
