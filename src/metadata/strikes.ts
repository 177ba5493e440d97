// Room: metadata. Owns the strikes: which operations were being executed when a worker died, and how often.
import { asc, eq, gte, lt, sql } from "drizzle-orm";
import type { OperationId } from "../domain/identifiers.ts";
import type { Database } from "./database.ts";
import { strikes } from "./schema.ts";

/** An operation that was being executed when this many workers died is no longer executed. */
export const maxDeaths = 2;

export interface Struck {
  readonly operationId: OperationId;
  readonly job: string;
}

export interface Strike extends Struck {
  readonly deaths: number;
  readonly lastAtMs: number;
}

/**
 * Counts one death for each operation, in the caller's transaction. `run` names the worker that died: the same death is
 * counted once, however often it is reported.
 */
export function addStrikes(database: Database, run: string, operations: readonly Struck[]): void {
  for (const { operationId, job } of operations) {
    database.drizzle
      .insert(strikes)
      .values({ operationId, job, deaths: 1, lastRun: run, lastAtMs: Date.now() })
      .onConflictDoUpdate({
        target: strikes.operationId,
        set: { deaths: sql`${strikes.deaths} + 1`, lastRun: run, lastAtMs: Date.now() },
        setWhere: sql`${strikes.lastRun} <> ${run}`,
      })
      .run();
  }
}

/** Undefined: no worker died while it was being executed. */
export const strikesOf = (database: Database, operationId: OperationId): Strike | undefined =>
  database.drizzle.select().from(strikes).where(eq(strikes.operationId, operationId)).get();

/** Oldest first. */
export const listStrikes = (database: Database): Strike[] =>
  database.drizzle.select().from(strikes).orderBy(asc(strikes.lastAtMs), asc(strikes.operationId)).all();

/** Operations that are no longer executed. */
export const listSetAside = (database: Database): Strike[] =>
  database.drizzle
    .select()
    .from(strikes)
    .where(gte(strikes.deaths, maxDeaths))
    .orderBy(asc(strikes.lastAtMs), asc(strikes.operationId))
    .all();

/** Allows everything that was set aside to be tried again. */
export function forgetStrikes(database: Database): void {
  database.drizzle.delete(strikes).run();
}

/** Whether some struck operation has not been asked for since `beforeMs`. */
export const hasStrikesBefore = (database: Database, beforeMs: number): boolean =>
  database.drizzle.select().from(strikes).where(lt(strikes.lastAtMs, beforeMs)).limit(1).get() !== undefined;

/** Forgets operations that are no longer asked for. */
export function pruneStrikes(database: Database, beforeMs: number): void {
  database.drizzle.delete(strikes).where(lt(strikes.lastAtMs, beforeMs)).run();
}
