// Room: metadata. Owns what must still be queued, so that losing Redis loses no work that was accepted.
import { asc, eq } from "drizzle-orm";
import type { OperationId } from "../domain/identifiers.ts";
import type { Database } from "./database.ts";
import { outbox } from "./schema.ts";

export interface OutboxEntry {
  readonly operationId: OperationId;
  readonly job: string;
  /** The job's payload as it will be queued; parse it by the contract. */
  readonly payload: unknown;
  readonly createdAtMs: number;
}

/** Writes an entry down; one that is there already stays as it is. */
export function addToOutbox(database: Database, entry: Omit<OutboxEntry, "createdAtMs">): void {
  database.drizzle
    .insert(outbox)
    .values({ ...entry, payload: JSON.stringify(entry.payload), createdAtMs: Date.now() })
    .onConflictDoNothing()
    .run();
}

export function dropFromOutbox(database: Database, operationId: OperationId): void {
  database.drizzle.delete(outbox).where(eq(outbox.operationId, operationId)).run();
}

/** All entries, oldest first. */
export const pendingOutbox = (database: Database): OutboxEntry[] =>
  database.drizzle
    .select()
    .from(outbox)
    .orderBy(asc(outbox.createdAtMs), asc(outbox.operationId))
    .all()
    .map((row) => ({ ...row, payload: JSON.parse(row.payload) as unknown }));
