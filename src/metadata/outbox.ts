// Room: metadata. Owns what must still be queued, so that losing Redis loses no work that was accepted.
import { and, asc, count, eq, isNotNull, isNull, lt, sql } from "drizzle-orm";
import { type OperationId, operationId } from "../domain/identifiers.ts";
import { type Database, statements } from "./database.ts";
import { outbox } from "./schema.ts";

const prepared = statements((handle) => ({
  find: handle
    .select()
    .from(outbox)
    .where(eq(outbox.operationId, sql.placeholder("operationId")))
    .prepare(),
  add: handle
    .insert(outbox)
    .values({
      operationId: sql.placeholder("operationId"),
      job: sql.placeholder("job"),
      payload: sql.placeholder("payload"),
      createdAtMs: sql.placeholder("nowMs"),
      traceparent: sql.placeholder("traceparent"),
    })
    .prepare(),
  drop: handle
    .delete(outbox)
    .where(eq(outbox.operationId, sql.placeholder("operationId")))
    .prepare(),
}));

export interface OutboxEntry {
  readonly operationId: OperationId;
  readonly job: string;
  /** The job's payload as it will be queued; parse it by the contract. */
  readonly payload: unknown;
  readonly createdAtMs: number;
  /** The trace that its job is part of, if any. */
  readonly traceparent?: string | undefined;
}

/** The one job whose entries are cancelled. */
const cancellableJob = "unpack";

/** What came of writing an entry down: it is there, its caller has cancelled it, or its ID is used for other work. */
export type Addition = "written" | "cancelled" | "other";

/** Writes an entry down; the same one that is there already stays, and one that cannot be read is replaced. */
export function addToOutbox(
  database: Database,
  { operationId: id, job, payload: given, traceparent }: Omit<OutboxEntry, "createdAtMs">,
): Addition {
  const payload = JSON.stringify(given);
  const found = prepared(database).find.get({ operationId: id });
  if (found === undefined) {
    const row = { operationId: id, job, payload, nowMs: Date.now(), traceparent: traceparent ?? null };
    prepared(database).add.run(row);
    return "written";
  }
  if (found.cancelledAtMs !== null) return "cancelled";
  if (found.job !== job) return "other";
  const kept = parsed(found.payload);
  if (kept !== undefined) return Bun.deepEquals(kept, JSON.parse(payload)) ? "written" : "other";
  database.drizzle.update(outbox).set({ payload }).where(eq(outbox.operationId, id)).run();
  return "written";
}

/** Undefined: the text is not JSON. */
function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch {
    return undefined;
  }
}

/** Also for an entry whose operation ID is not valid. */
export function dropFromOutbox(database: Database, operationId: string): void {
  prepared(database).drop.run({ operationId });
}

/** The same for an entry whose job has failed; a cancelled one stays, since its acceptance may be repeated. */
export function dropUnlessCancelled(database: Database, operationId: OperationId): void {
  database.drizzle
    .delete(outbox)
    .where(and(eq(outbox.operationId, operationId), isNull(outbox.cancelledAtMs)))
    .run();
}

/**
 * Marks an entry as cancelled: the worker that has its job gives it up, and it is not queued again. If there is none yet, a
 * cancelled one is written: an acceptance that is still under way finds it.
 */
export function cancelInOutbox(database: Database, operationId: OperationId): void {
  const nowMs = Date.now();
  database.drizzle
    .insert(outbox)
    .values({ operationId, job: cancellableJob, payload: "null", createdAtMs: nowMs, cancelledAtMs: nowMs })
    .onConflictDoUpdate({ target: outbox.operationId, set: { cancelledAtMs: nowMs } })
    .run();
}

export function isCancelled(database: Database, operationId: OperationId): boolean {
  return (prepared(database).find.get({ operationId })?.cancelledAtMs ?? null) !== null;
}

/** An entry without its payload, which may be damaged; undefined: there is none. */
export const outboxEntry = (database: Database, operationId: OperationId) =>
  database.drizzle
    .select({
      job: outbox.job,
      createdAtMs: outbox.createdAtMs,
      cancelledAtMs: outbox.cancelledAtMs,
      traceparent: outbox.traceparent,
    })
    .from(outbox)
    .where(eq(outbox.operationId, operationId))
    .get();

/** Forgets what was cancelled before `beforeMs`. */
export function pruneCancelled(database: Database, beforeMs: number): void {
  database.drizzle
    .delete(outbox)
    .where(and(isNotNull(outbox.cancelledAtMs), lt(outbox.cancelledAtMs, beforeMs)))
    .run();
}

/** Whether there is anything that was cancelled before `beforeMs`. */
export const hasCancelledBefore = (database: Database, beforeMs: number): boolean =>
  database.drizzle
    .select({ operationId: outbox.operationId })
    .from(outbox)
    .where(and(isNotNull(outbox.cancelledAtMs), lt(outbox.cancelledAtMs, beforeMs)))
    .limit(1)
    .get() !== undefined;

/** An entry whose payload cannot be read: it can never be queued. */
export interface DamagedEntry {
  readonly operationId: string;
  readonly job: string;
  readonly createdAtMs: number;
}

/** All entries that are not cancelled, or those of one `job`, in the order of their writing; without those that are damaged. */
export const pendingOutbox = (database: Database, job?: string): OutboxEntry[] =>
  readPending(database, job).flatMap((entry) => ("payload" in entry ? [entry] : []));

/** Entries that are not cancelled, and whose payload is not JSON or whose operation ID is not valid. */
export const damagedOutbox = (database: Database): DamagedEntry[] =>
  readPending(database).flatMap((entry) => ("payload" in entry ? [] : [entry]));

/** The operations of a job's entries that are not cancelled, damaged or not. */
export const pendingOperations = (database: Database, job: string): ReadonlySet<string> =>
  new Set(
    database.drizzle
      .select({ operationId: outbox.operationId })
      .from(outbox)
      .where(and(isNull(outbox.cancelledAtMs), eq(outbox.job, job)))
      .all()
      .map(({ operationId: id }) => id),
  );

/** How many entries of a job there are, damaged or not. */
export const countPending = (database: Database, job: string): number =>
  database.drizzle
    .select({ count: count() })
    .from(outbox)
    .where(and(isNull(outbox.cancelledAtMs), eq(outbox.job, job)))
    .get()?.count ?? 0;

const readPending = (database: Database, job?: string): (OutboxEntry | DamagedEntry)[] =>
  database.drizzle
    .select()
    .from(outbox)
    .where(and(isNull(outbox.cancelledAtMs), job === undefined ? undefined : eq(outbox.job, job)))
    .orderBy(asc(outbox.createdAtMs), sql`rowid`)
    .all()
    .map(({ operationId: id, job: queued, payload: text, createdAtMs, traceparent }) => {
      try {
        const payload: unknown = JSON.parse(text);
        return {
          operationId: operationId(id),
          job: queued,
          payload,
          createdAtMs,
          traceparent: traceparent ?? undefined,
        };
      } catch {
        return { operationId: id, job: queued, createdAtMs };
      }
    });
