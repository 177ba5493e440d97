// Room: service. Owns the reading of the audit log: what was asked for over HTTP, by whom, and what came of it.
import { z } from "zod";
import { type Config, paths } from "../config.ts";
import { roles } from "../domain/callers.ts";
import { invalidArgument } from "../domain/errors.ts";
import { poolName } from "../domain/identifiers.ts";
import { parsing } from "../domain/parsing.ts";
import { type AuditRow, begunCode, readAudit } from "../metadata/audit.ts";
import { type Database, openDatabase } from "../metadata/database.ts";
import { serviceSchema } from "../metadata/migrations.ts";
import { requireOwnPlace } from "../supervisor/directories.ts";
import { listOperation } from "./operation.ts";

/** What has an audit log: an `up`, or its state directory. */
export interface Audited {
  readonly auditLog: () => Database;
}

const timeMs = z.number().int().min(0);
const pool = z.string().transform(parsing(poolName));

const filter = z.object({
  token: z.string().max(64).optional(),
  operation: z.string().max(64).optional(),
  pool: pool.optional(),
  /** `ok`, `begun` (what came of it is not known, or it still runs) or the code of a problem. */
  code: z.string().max(64).optional(),
  operationId: z.string().max(128).optional(),
  /** Asked for at this time or later. */
  sinceMs: timeMs.optional(),
  /** Asked for before this time. */
  untilMs: timeMs.optional(),
  after: z.string().optional(),
});

const change = z.object({
  /** Grows with each change. */
  number: z.number().int(),
  atMs: timeMs,
  requestId: z.string(),
  token: z.string(),
  role: z.enum(roles),
  method: z.string(),
  path: z.string(),
  /** Null: the dashboard's. */
  operation: z.string().nullable(),
  pool: z.string().nullable(),
  /** The header Snapmill-Reason. */
  reason: z.string().nullable(),
  /** The fields of the request, without secrets, cut where they are long; null: they could not be read. */
  request: z.unknown(),
  operationId: z.string().nullable(),
  code: z.string(),
  /** Of HTTP; null: not answered. */
  status: z.number().int().nullable(),
  endedAtMs: timeMs.nullable(),
});
export type AuditedChange = z.output<typeof change>;

const pageRows = 100;

/** The changes that were asked for over HTTP, the newest first. */
export const listAudit = listOperation(
  { input: filter, output: change, placeOf: ({ number }) => String(number) },
  ({ auditLog }: Audited, { after, ...wanted }) => pages(auditLog(), wanted, numberIn(after)),
);

/** The same for a state directory, whether an `up` runs or not. Throws not_found if there is no audit log yet. */
export function openAudit(config: Config): Audited & Disposable {
  requireOwnPlace(config);
  const database = openDatabase(paths.serviceDatabase(config), { mode: "readonly", schema: serviceSchema });
  return { auditLog: () => database, [Symbol.dispose]: () => database.close() };
}

function numberIn(after: string | undefined): number {
  if (after === undefined) return Number.MAX_SAFE_INTEGER;
  if (/^\d{1,15}$/.test(after)) return Number(after);
  throw invalidArgument("the cursor is not one of this list: begin without");
}

function* pages(
  database: Database,
  wanted: Parameters<typeof readAudit>[1],
  from: number,
): Generator<readonly AuditedChange[], void> {
  let before = from;
  for (;;) {
    const rows = readAudit(database, wanted, before, pageRows);
    if (rows.length > 0) yield rows.map(changeOf);
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    before = last.number;
  }
}

const changeOf = ({ tokenName, request, code, ...row }: AuditRow): AuditedChange => ({
  ...row,
  token: tokenName,
  request: request === null ? null : (JSON.parse(request) as unknown),
  code: code ?? begunCode,
});
