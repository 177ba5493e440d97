// Room: api. Owns who calls: one middleware makes the context of a request, which audit, logs and traces read.
import type { MiddlewareHandler } from "hono";
import { type Caller as Identity, mayDo, type Role } from "../../../domain/callers.ts";
import { AbortReason, Canceller } from "../../../domain/cancellation.ts";
import type { OperationId } from "../../../domain/identifiers.ts";
import type { ChangeRecord } from "../audited.ts";
import type { Bindings, Gate } from "../gate.ts";
import { isOriginOf } from "../protection.ts";
import { Problem } from "./problems.ts";

/** A request's context, as `context.get("caller")`. */
export interface Caller extends Identity {
  /** Whether the token is still good: for requests that last. */
  readonly holds: () => boolean;
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
  readonly Bindings: Bindings;
  readonly Variables: { readonly caller: Caller /** Undefined: it is none. */; readonly change?: ChangeRecord };
}

/** A request without credentials learns nothing, not even what there is. */
export const asCaller =
  (gate: Gate): MiddlewareHandler<V1Env> =>
  async (context, next) => {
    const requestId = requestIdOf(context.req.header("x-request-id"));
    context.header("x-request-id", requestId);
    const entry = await gate.enter(context.req.raw, context.env.peer);
    if (entry.kind === "no token") {
      // A browser asks its user for the page, and sends what it was told with the page's requests.
      const scheme = context.req.path.startsWith("/v1/docs") ? 'Basic realm="snapmill"' : "Bearer";
      throw new Problem("unauthenticated", "the request has no valid token", { "www-authenticate": scheme });
    }
    if (entry.kind === "too many") {
      const headers = { "retry-after": String(entry.retryAfterSeconds) };
      throw new Problem("too_many_requests", "too many requests have come in a short time", headers);
    }
    const { caller, holds } = entry.admission;
    context.set("caller", {
      ...caller,
      holds,
      requestId,
      reason: textIn(context.req.header("snapmill-reason")),
      traceparent: context.req.header("traceparent"),
      signal: whileThere(context.req.raw.signal),
      operationId: undefined,
    });
    await next();
  };

/** A browser that knows a token sends it with requests that other sites trigger, too, but tells where they come from. */
export const onlyOwnSite: MiddlewareHandler<V1Env> = async (context, next) => {
  const site = context.req.header("sec-fetch-site") ?? "none";
  const origin = context.req.header("origin");
  const isOwn = origin === undefined || isOriginOf(origin, context.req.header("host"));
  if (isOwn && (site === "same-origin" || site === "none")) return await next();
  // A link may lead here from anywhere: what is there tells nothing to the other site.
  if (context.req.method === "GET" || context.req.method === "HEAD") return await next();
  throw new Problem("forbidden", "the request comes from a page of another site");
};

export function requireRole({ tokenName, role }: Identity, needed: Role): void {
  if (mayDo(role, needed)) return;
  throw new Problem("forbidden", `token ${tokenName} has the role ${role}, and this needs ${needed}`);
}

/** A header has bytes, which Bun takes for Latin-1, and most callers send as UTF-8. */
function textIn(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(header, "latin1"));
  } catch {
    return header;
  }
}

/** A caller's own ID, if it can stand in a log; otherwise a fresh one. */
export const requestIdOf = (given: string | undefined): string =>
  given !== undefined && /^[A-Za-z0-9_.-]{8,64}$/.test(given) ? given : crypto.randomUUID();

/** The reason of every signal of this project is its own kind of error. */
export function whileThere(connection: AbortSignal): AbortSignal {
  const caller = new Canceller();
  const leave = () => caller.cancel(new AbortReason("cancelled", "the caller has left"));
  connection.addEventListener("abort", leave, { once: true });
  if (connection.aborted) leave();
  return caller.signal;
}
