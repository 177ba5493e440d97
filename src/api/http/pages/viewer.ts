// Room: api. Owns who looks at the pages: the session in a browser's cookie, and which requests it counts for.
import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import type { Caller } from "../../../domain/callers.ts";
import type { Sessions } from "../../../service/sessions.ts";
import type { Admission } from "../../../service/token-book.ts";
import type { Bindings, Gate } from "../gate.ts";
import { isReading } from "../protection.ts";
import { whileThere } from "../v1/caller.ts";
import { Problem } from "../v1/problems.ts";

export interface Viewer extends Caller {
  /** Whether the token is still good: for requests that last. */
  readonly holds: () => boolean;
  /** The text of the cookie. */
  readonly session: string;
  readonly requestId: string;
  /** Aborted when the viewer leaves. */
  readonly signal: AbortSignal;
}

export interface ViewerEnv {
  readonly Bindings: Bindings;
  readonly Variables: { readonly viewer: Viewer };
}

/** Over HTTPS, no other name of the host and no page that came in clear can set it. */
export const cookieNameOf = ({ cookieName }: Sessions, isSecure: boolean): string =>
  isSecure ? `__Host-${cookieName}` : cookieName;

export interface SessionInRequest {
  readonly text: string;
  readonly admission: Admission;
}

/** Undefined: the request shows no session that is good. */
export function sessionIn(context: Context, sessions: Sessions, isSecure: boolean): SessionInRequest | undefined {
  const text = getCookie(context, cookieNameOf(sessions, isSecure));
  const admission = text === undefined ? undefined : sessions.resume(text);
  return text === undefined || admission === undefined ? undefined : { text, admission };
}

/**
 * A browser sends its cookies with what other sites have it ask for, and says so in Sec-Fetch-Site. Those of its pages on
 * other ports of this host count as other sites, too. Over plain HTTP from another machine it says nothing: such a session
 * reads, and changes nothing.
 */
export function requireOwnRequest(context: Context): void {
  const site = context.req.header("sec-fetch-site");
  const isOwn = site === "same-origin" || (isReading(context) && (site === undefined || site === "none"));
  if (isOwn) return;
  if (site === undefined) {
    throw new Problem("forbidden", "the browser does not say where this change comes from (Sec-Fetch-Site)");
  }
  throw new Problem("forbidden", "the request comes from a page of another site");
}

export interface EntranceOptions {
  readonly gate: Gate;
  readonly sessions: Sessions;
  readonly isSecure: boolean;
}

/** Lets in whoever has a session. Throws a Problem for others. */
export const onlySignedIn =
  ({ gate, sessions, isSecure }: EntranceOptions): MiddlewareHandler<ViewerEnv> =>
  async (context, next) => {
    const found = sessionIn(context, sessions, isSecure);
    if (found === undefined) throw new Problem("unauthenticated", "you are not signed in, or no longer");
    const { caller, holds } = found.admission;
    const entry = await gate.judge(found.admission, context.req.raw, context.env.peer);
    if (entry.kind !== "in") throw new Problem("too_many_requests", "too many requests have come in a short time");
    const signal = whileThere(context.req.raw.signal);
    context.set("viewer", { ...caller, holds, signal, session: found.text, requestId: crypto.randomUUID() });
    requireOwnRequest(context);
    await next();
  };
