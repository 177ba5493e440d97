// Room: metadata. Owns the audit log's rows: begun, ended, read from the newest on, and dropped when they are old.
import { and, desc, eq, gte, inArray, isNull, lt, max, min, type SQL } from "drizzle-orm";
import { type Database, transact, transactSoon } from "./database.ts";
import { audit } from "./service-tables.ts";

export type AuditRow = typeof audit.$inferSelect;
export type BegunChange = Omit<AuditRow, "number" | "code" | "status" | "endedAtMs">;
export type EndedChange = Pick<AuditRow, "code" | "status" | "endedAtMs"> & Partial<Pick<AuditRow, "operationId">>;

/** Stands for the code of a row that has none. */
export const begunCode = "begun";

export interface AuditFilter {
  readonly token?: string | undefined;
  readonly operation?: string | undefined;
  /** Any of these. */
  readonly operations?: readonly string[] | undefined;
  readonly pool?: string | undefined;
  /** Or `begunCode`. */
  readonly code?: string | undefined;
  readonly operationId?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** On disk when it returns the row's number: a change that was made is in the log, also after a power cut. */
export const beginAudit = (database: Database, begun: BegunChange): number =>
  transact(
    database,
    () => database.drizzle.insert(audit).values(begun).returning({ number: audit.number }).get().number,
  );

/** Not waited for: a power cut may leave the row as begun, which it is. */
export const endAudit = (database: Database, number: number, ended: EndedChange): void =>
  transactSoon(database, () => database.drizzle.update(audit).set(ended).where(eq(audit.number, number)).run());

/** At most `limit` rows, the newest first, all older than row `before`. */
export const readAudit = (database: Database, filter: AuditFilter, before: number, limit: number): AuditRow[] =>
  database.drizzle
    .select()
    .from(audit)
    .where(and(lt(audit.number, before), ...conditions(filter)))
    .orderBy(desc(audit.number))
    .limit(limit)
    .all();

const conditions = ({
  token,
  operation,
  operations,
  pool,
  code,
  operationId,
  sinceMs,
  untilMs,
}: AuditFilter): (SQL | undefined)[] => [
  token === undefined ? undefined : eq(audit.tokenName, token),
  operation === undefined ? undefined : eq(audit.operation, operation),
  operations === undefined ? undefined : inArray(audit.operation, [...operations]),
  pool === undefined ? undefined : eq(audit.pool, pool),
  operationId === undefined ? undefined : eq(audit.operationId, operationId),
  code === undefined ? undefined : hasCode(code),
  sinceMs === undefined ? undefined : gte(audit.atMs, sinceMs),
  untilMs === undefined ? undefined : lt(audit.atMs, untilMs),
];

const hasCode = (code: string): SQL => (code === begunCode ? isNull(audit.code) : eq(audit.code, code));

/** What is kept. */
export interface AuditBounds {
  readonly sinceMs: number;
  readonly rows: number;
}

/** Drops at most `stepRows` of the oldest rows that are outside of the bounds; returns how many. */
export function pruneAudit(database: Database, { sinceMs, rows }: AuditBounds, stepRows: number): number {
  const { first, last } =
    database.drizzle
      .select({ first: min(audit.number), last: max(audit.number) })
      .from(audit)
      .get() ?? {};
  if (first === null || first === undefined || last === null || last === undefined) return 0;
  // Rows go in the order of their numbers, so that these count them.
  const tooMany = last - rows + 1;
  const young = database.drizzle
    .select({ number: audit.number })
    .from(audit)
    .where(gte(audit.atMs, sinceMs))
    .orderBy(audit.atMs)
    .limit(1)
    .get();
  const until = Math.min(Math.max(tooMany, young?.number ?? last + 1), first + stepRows);
  if (until <= first) return 0;
  return transactSoon(
    database,
    () =>
      database.drizzle.delete(audit).where(lt(audit.number, until)).returning({ number: audit.number }).all().length,
  );
}
