// Room: api. Owns who calls: one middleware makes the context of a request, which audit, logs and traces read.
import type { MiddlewareHandler } from "hono";
import { AbortReason, Canceller } from "../../../domain/cancellation.ts";
import type { OperationId } from "../../../domain/identifiers.ts";
import type { Endpoint } from "./endpoints.ts";
import { Problem } from "./problems.ts";

export type Role = Endpoint["role"];

/** Whom a request's credentials belong to. */
export interface Identity {
  /** Of its token; `socket` for the UNIX socket. */
  readonly tokenName: string;
  readonly role: Role;
}

/** Undefined: these are no credentials of anyone. */
export type Authenticate = (request: Request) => Identity | undefined;

/** A request's context, as `context.get("caller")`. */
export interface Caller extends Identity {
  /** Also in the answer, as X-Request-Id. */
  readonly requestId: string;
  /** Why the caller wants it, for the audit log: the header Snapmill-Reason. */
  readonly reason: string | undefined;
  /** Of W3C trace context, as it came. */
  readonly traceparent: string | undefined;
  /** Aborted when the caller leaves. */
  readonly signal: AbortSignal;
  /** Of a change: set when its route has read the Idempotency-Key. */
  operationId: OperationId | undefined;
}

export interface V1Env {
  readonly Variables: { readonly caller: Caller };
}

/** A request without credentials learns nothing, not even what there is. */
export const asCaller =
  (authenticate: Authenticate): MiddlewareHandler<V1Env> =>
  async (context, next) => {
    const requestId = requestIdOf(context.req.header("x-request-id"));
    context.header("x-request-id", requestId);
    const identity = authenticate(context.req.raw);
    if (identity === undefined) {
      throw new Problem("unauthenticated", "the request has no valid token", { "www-authenticate": "Bearer" });
    }
    context.set("caller", {
      ...identity,
      requestId,
      reason: context.req.header("snapmill-reason"),
      traceparent: context.req.header("traceparent"),
      signal: whileThere(context.req.raw.signal),
      operationId: undefined,
    });
    await next();
  };

export function requireRole({ tokenName, role }: Identity, needed: Role): void {
  if (needed === "read" || role === "operate") return;
  throw new Problem("forbidden", `token ${tokenName} has the role ${role}, and this needs ${needed}`);
}

/** A caller's own ID, if it can stand in a log; otherwise a fresh one. */
const requestIdOf = (given: string | undefined): string =>
  given !== undefined && /^[A-Za-z0-9_.-]{8,64}$/.test(given) ? given : crypto.randomUUID();

/** The reason of every signal of this project is its own kind of error. */
function whileThere(connection: AbortSignal): AbortSignal {
  const caller = new Canceller();
  const leave = () => caller.cancel(new AbortReason("cancelled", "the caller has left"));
  connection.addEventListener("abort", leave, { once: true });
  if (connection.aborted) leave();
  return caller.signal;
}
