// Room: metadata. Owns the rows of operations that were begun over HTTP: begun, ended, found again, and dropped in order.
import { and, asc, eq, inArray, lt, type SQL, sql } from "drizzle-orm";
import { decodeFailure, encodeFailure } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { type Database, statements, transact, transactSoon } from "./database.ts";
import type { Answer } from "./journal.ts";
import { operations } from "./service-tables.ts";

type Row = typeof operations.$inferSelect;
export type BegunOperation = Omit<Row, "endedAtMs" | "bytes" | "result" | "failure">;
export type AskedOperation = BegunOperation & Pick<Row, "endedAtMs"> & { readonly answer: Answer | undefined };

const prepared = statements((handle) => ({
  find: handle
    .select()
    .from(operations)
    .where(eq(operations.operationId, sql.placeholder("operationId")))
    .prepare(),
}));

export function findAsked(database: Database, operationId: OperationId): AskedOperation | undefined {
  const row = prepared(database).find.get({ operationId });
  if (row === undefined) return undefined;
  const { bytes: _bytes, result, failure, ...told } = row;
  return { ...told, answer: answerIn(result, failure) };
}

function answerIn(result: string | null, failure: string | null): Answer | undefined {
  if (result !== null) return { outcome: "result", result: JSON.parse(result) };
  return failure === null ? undefined : { outcome: "failure", failure: decodeFailure(failure) };
}

/** Not waited for: the audit log's row of the same change comes next in the same file, and waits for both. */
export const beginAsked = (database: Database, begun: BegunOperation): void =>
  write(database, transactSoon, { ...begun, endedAtMs: null, bytes: 0, result: null, failure: null });

/** `isDurable`: it survives a power cut. Otherwise it survives the death of the process alone. Returns its bytes. */
export function endAsked(
  database: Database,
  begun: BegunOperation,
  {
    answer,
    endedAtMs,
    isDurable,
  }: { readonly answer: Answer; readonly endedAtMs: number; readonly isDurable: boolean },
): number {
  const result = answer.outcome === "result" ? (JSON.stringify(answer.result) ?? "null") : null;
  const failure = answer.outcome === "failure" ? encodeFailure(answer.failure) : null;
  const bytes = Buffer.byteLength(result ?? failure ?? "");
  write(database, isDurable ? transact : transactSoon, { ...begun, endedAtMs, bytes, result, failure });
  return bytes;
}

function write(database: Database, transaction: typeof transact, { operationId, ...row }: Row): void {
  transaction(database, () => {
    database.drizzle
      .insert(operations)
      .values({ operationId, ...row })
      .onConflictDoUpdate({ target: operations.operationId, set: row })
      .run();
  });
}

export interface Amount {
  readonly rows: number;
  readonly bytes: number;
}

export const amountAsked = (database: Database): Amount =>
  database.drizzle
    .select({ rows: sql<number>`count(*)`, bytes: sql<number>`coalesce(sum(${operations.bytes}), 0)` })
    .from(operations)
    .get() ?? { rows: 0, bytes: 0 };

/** Those that run are no part of it. */
const isNotOf = (running: readonly OperationId[]): SQL =>
  sql`${operations.operationId} NOT IN (SELECT value FROM json_each(${JSON.stringify(running)}))`;

/** Drops at most `limit` rows of operations that ended before `beforeMs`, or began and were interrupted; returns how many. */
export function dropAskedBefore(
  database: Database,
  beforeMs: number,
  running: readonly OperationId[],
  limit: number,
): number {
  const old = database.drizzle
    .select({ operationId: operations.operationId })
    .from(operations)
    .where(
      and(
        inArray(operations.isKeyed, [false, true]),
        lt(operations.startedAtMs, beforeMs),
        lt(sql`coalesce(${operations.endedAtMs}, ${operations.startedAtMs})`, beforeMs),
        isNotOf(running),
      ),
    )
    .limit(limit);
  return transactSoon(
    database,
    () => database.drizzle.delete(operations).where(inArray(operations.operationId, old)).returning().all().length,
  );
}

/** Drops the `limit` oldest rows, first those that nobody can ask for again; returns how much that was. */
export function dropOldestAsked(database: Database, running: readonly OperationId[], limit: number): Amount {
  const oldest = database.drizzle
    .select({ operationId: operations.operationId })
    .from(operations)
    .where(isNotOf(running))
    .orderBy(asc(operations.isKeyed), asc(operations.startedAtMs))
    .limit(limit);
  const dropped = transactSoon(database, () =>
    database.drizzle
      .delete(operations)
      .where(inArray(operations.operationId, oldest))
      .returning({ bytes: operations.bytes })
      .all(),
  );
  return { rows: dropped.length, bytes: dropped.reduce((sum, { bytes }) => sum + bytes, 0) };
}
