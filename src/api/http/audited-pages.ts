// Room: api. Owns changes by the dashboard's pages: for the role operate alone, and in the audit log.
import type { MiddlewareHandler } from "hono";
import { mayDo } from "../../domain/callers.ts";
import { asSnapmillError } from "../../domain/errors.ts";
import type { AuditLog, Outcome } from "../../service/audit-log.ts";
import { ChangeRecord } from "./audited.ts";
import { isReading, type PagesEnv } from "./protection.ts";

/** A page's change is recorded without its body, which is a job's data or nothing. */
export const onlyChangesOfOperators =
  (log: AuditLog): MiddlewareHandler<PagesEnv> =>
  async (context, next) => {
    if (isReading(context)) return await next();
    const caller = context.get("caller");
    const { method, path } = context.req;
    const asked = { requestId: crypto.randomUUID(), reason: undefined, method, path, operation: null, pool: null };
    const change = new ChangeRecord(log, caller, asked);
    if (!mayDo(caller.role, "operate")) {
      change.answered({ code: "permission_denied", status: 403 });
      return context.text(`refused: token ${caller.tokenName} has the role ${caller.role}\n`, 403);
    }
    try {
      await change.around({ given: undefined, operationId: undefined }, next, () => outcomeOf(context.res.status));
    } catch (error) {
      return context.text(`${asSnapmillError(error).message}\n`, 503);
    }
  };

const outcomeOf = (status: number): Outcome => {
  if (status < 400) return { code: "ok", status };
  return { code: status < 500 ? "invalid_argument" : "internal", status };
};
