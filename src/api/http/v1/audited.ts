// Room: api. Owns the record of /v1's changes in the audit log.
import type { MiddlewareHandler } from "hono";
import type { AuditLog, Outcome } from "../../../service/audit-log.ts";
import { ChangeRecord } from "../audited.ts";
import { isReading } from "../protection.ts";
import type { V1Env } from "./caller.ts";
import { kindOf, problemKinds } from "./problems.ts";

/** A change that its route does not begin was refused, or is none: it is recorded when it is answered. */
export const audited =
  (log: AuditLog): MiddlewareHandler<V1Env> =>
  async (context, next) => {
    if (isReading(context)) return await next();
    const caller = context.get("caller");
    const { requestId, reason } = caller;
    const { method, path } = context.req;
    const change = new ChangeRecord(log, caller, { requestId, reason, method, path, operation: null, pool: null });
    context.set("change", change);
    await next();
    const code = context.error === undefined ? "ok" : codeOf(context.error);
    change.answered({ code, status: context.res.status, operationId: caller.operationId });
  };

/** What came of an effect. */
export const outcomeOf = (outcome: { readonly error: unknown } | { readonly answer: unknown }): Outcome => {
  if ("answer" in outcome) return { code: "ok", status: 200 };
  return { code: codeOf(outcome.error), status: problemKinds[kindOf(outcome.error)].status };
};

export const codeOf = (error: unknown): string => problemKinds[kindOf(error)].code;
