// Room: metadata. Owns the journal: what each operation was asked, and what it was answered.
import { and, eq, gt, inArray, lt, sql } from "drizzle-orm";
import { decodeFailure, encodeFailure, invalidArgument, type SnapmillError } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { type Database, statements } from "./database.ts";
import { operations } from "./schema.ts";

/** What an operation asks for: its job's name and its payload. */
export interface Request {
  readonly operationId: OperationId;
  readonly job: string;
  readonly payload: unknown;
}

export type Answer =
  | { readonly outcome: "result"; readonly result: unknown }
  | { readonly outcome: "failure"; readonly failure: SnapmillError };

const prepared = statements((handle) => ({
  find: handle
    .select()
    .from(operations)
    .where(eq(operations.operationId, sql.placeholder("operationId")))
    .prepare(),
  intend: handle
    .insert(operations)
    .values({
      operationId: sql.placeholder("operationId"),
      job: sql.placeholder("job"),
      payloadHash: sql.placeholder("payloadHash"),
      state: "intended",
      intendedAtMs: sql.placeholder("nowMs"),
    })
    .onConflictDoNothing()
    .prepare(),
  settle: handle
    .insert(operations)
    .values({
      operationId: sql.placeholder("operationId"),
      job: sql.placeholder("job"),
      payloadHash: sql.placeholder("payloadHash"),
      state: "settled",
      result: sql.placeholder("result"),
      failure: sql.placeholder("failure"),
      intendedAtMs: sql.placeholder("nowMs"),
      settledAtMs: sql.placeholder("nowMs"),
    })
    .onConflictDoUpdate({
      target: operations.operationId,
      set: {
        state: "settled",
        result: sql`excluded.result`,
        failure: sql`excluded.failure`,
        settledAtMs: sql`excluded.settled_at_ms`,
      },
    })
    .prepare(),
  finish: handle
    .update(operations)
    .set({ state: "settled", result: "{}", settledAtMs: sql`${sql.placeholder("nowMs")}` })
    .where(and(eq(operations.operationId, sql.placeholder("operationId")), eq(operations.state, "intended")))
    .prepare(),
  forget: handle
    .delete(operations)
    .where(eq(operations.operationId, sql.placeholder("operationId")))
    .prepare(),
}));

/**
 * The answer that was given to this operation, if it was. Throws invalid_argument when the operation ID was used for
 * something else: two different requests under one ID are a caller's mistake that must not pass for a repetition.
 */
export function recordedAnswer(database: Database, request: Request): Answer | undefined {
  const row = prepared(database).find.get({ operationId: request.operationId });
  if (row === undefined) return undefined;
  if (row.job !== request.job || row.payloadHash !== hashOf(request)) {
    throw invalidArgument(
      `operation ID ${request.operationId} was used before for another request (${row.job}): choose a fresh one`,
    );
  }
  return answerIn(row);
}

function answerIn({ result, failure }: Pick<typeof operations.$inferSelect, "result" | "failure">): Answer | undefined {
  if (result !== null) return { outcome: "result", result: JSON.parse(result) };
  if (failure !== null) return { outcome: "failure", failure: decodeFailure(failure) };
  return undefined;
}

/** What the journal knows of an operation; `answer` is undefined while there is none. */
export function journaledOperation(database: Database, operationId: OperationId) {
  const row = prepared(database).find.get({ operationId });
  if (row === undefined) return undefined;
  const { job, intendedAtMs, settledAtMs } = row;
  return { job, intendedAtMs, settledAtMs, answer: answerIn(row) };
}

/** Operations of certain jobs that were answered after `afterMs`. */
export const settledOperations = (database: Database, jobs: readonly string[], afterMs: number) =>
  database.drizzle
    .select()
    .from(operations)
    .where(
      and(eq(operations.state, "settled"), gt(operations.settledAtMs, afterMs), inArray(operations.job, [...jobs])),
    )
    .all()
    .map((row) => ({
      operationId: row.operationId,
      job: row.job,
      intendedAtMs: row.intendedAtMs,
      settledAtMs: row.settledAtMs,
      answer: answerIn(row),
    }));

/** Records that effects are about to begin. */
export function recordIntent(database: Database, request: Request): void {
  prepared(database).intend.run({ ...identity(request), nowMs: Date.now() });
}

/** Records the final answer, whether or not the intent was recorded before. */
export function recordAnswer(database: Database, request: Request, answer: Answer): void {
  prepared(database).settle.run({
    ...identity(request),
    result: answer.outcome === "result" ? JSON.stringify(answer.result) : null,
    failure: answer.outcome === "failure" ? encodeFailure(answer.failure) : null,
    nowMs: Date.now(),
  });
}

/** As if the operation had never been asked for: it may be tried again from the start. */
export function forgetOperation(database: Database, operationId: OperationId): void {
  prepared(database).forget.run({ operationId });
}

/** Records the answer `{}` for an operation that was found half-way and has been finished. */
export function settleInterrupted(database: Database, operationId: OperationId): void {
  prepared(database).finish.run({ operationId, nowMs: Date.now() });
}

/** Operations whose effects began and that were never answered. */
export const interruptedOperations = (database: Database) =>
  database.drizzle
    .select({ operationId: operations.operationId, job: operations.job })
    .from(operations)
    .where(eq(operations.state, "intended"))
    .all();

/** Whether any answer was given before `beforeMs`. */
export const hasAnswersBefore = (database: Database, beforeMs: number): boolean =>
  database.drizzle
    .select({ operationId: operations.operationId })
    .from(operations)
    .where(and(eq(operations.state, "settled"), lt(operations.settledAtMs, beforeMs)))
    .limit(1)
    .get() !== undefined;

/** Deletes at most `limit` answers that were given before `beforeMs`; returns how many there were. */
export function pruneJournal(database: Database, beforeMs: number, limit: number): number {
  const old = database.drizzle
    .select({ operationId: operations.operationId })
    .from(operations)
    .where(and(eq(operations.state, "settled"), lt(operations.settledAtMs, beforeMs)))
    .limit(limit);
  return database.drizzle.delete(operations).where(inArray(operations.operationId, old)).returning().all().length;
}

const identity = (request: Request) => ({
  operationId: request.operationId,
  job: request.job,
  payloadHash: hashOf(request),
});

const hashes = new WeakMap<Request, string>();

/** Computed once for the intent and the answer. */
function hashOf(request: Request): string {
  const known = hashes.get(request);
  if (known !== undefined) return known;
  const hash = payloadHash(request.payload);
  hashes.set(request, hash);
  return hash;
}

/** The same for payloads that mean the same: object keys in any order, absent and undefined fields alike. */
export function payloadHash(payload: unknown): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(payload, sortKeys)).digest("hex");
}

function sortKeys(_name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)));
}
