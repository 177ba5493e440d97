// Room: api. Owns the protection of what is not /v1: authentication, content security policy, methods and origins.
import type { Context, MiddlewareHandler } from "hono";
import { secureHeaders } from "hono/secure-headers";
import type { Caller } from "../../domain/callers.ts";
import type { Admission } from "../../service/token-book.ts";
import { type Bindings, type Gate, user } from "./gate.ts";
import { refusal } from "./refusal.ts";

export interface PagesEnv {
  readonly Bindings: Bindings;
  readonly Variables: { readonly caller: Caller };
}

const whereTokenIs = `the user is ${user}, the password is the token: 'snapmill up' prints the name of its file\n`;

/**
 * HTTP basic authentication for people, a bearer's token for programs, and where `resume` is given, what a browser has from
 * signing in. What is behind it, others do not learn.
 */
export const onlyWithToken =
  (gate: Gate, resume?: (context: Context) => Admission | undefined): MiddlewareHandler<PagesEnv> =>
  async (context, next) => {
    const { peer } = context.env;
    const admission = resume?.(context);
    const entry = await (admission === undefined
      ? gate.enter(context.req.raw, peer)
      : gate.judge(admission, context.req.raw, peer));
    switch (entry.kind) {
      case "in":
        context.set("caller", entry.admission.caller);
        return await next();
      case "no token":
        return context.text(whereTokenIs, 401, { "www-authenticate": 'Basic realm="snapmill"' });
      case "too many":
        return context.text("too many requests\n", 429, { "retry-after": String(entry.retryAfterSeconds) });
    }
  };

/** Nothing but this server's own files, and forms that are sent to it. */
const pagePolicy = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

/** What holds for every answer; what another part needs, it says afterwards. */
export const onlyFromHere: MiddlewareHandler = secureHeaders({
  // With "no-referrer", a browser would send the pages' own forms with the Origin "null".
  referrerPolicy: "same-origin",
  strictTransportSecurity: false,
  xFrameOptions: "DENY",
});

/** The policy of all answers that have none of their own. */
export const withPagePolicy: MiddlewareHandler = async (context, next) => {
  await next();
  if (!context.res.headers.has(policyHeader)) context.res.headers.set(policyHeader, pagePolicy);
};

const policyHeader = "content-security-policy";

/** Inline styles are allowed: bull-board has some. */
const boardPolicy = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const withBoardPolicy: MiddlewareHandler = async (context, next) => {
  await next();
  context.res.headers.set(policyHeader, boardPolicy);
};

const readingMethods: readonly string[] = ["GET", "HEAD", "OPTIONS"];
const methods: readonly string[] = [...readingMethods, "POST", "PUT", "PATCH", "DELETE"];

export const isReading = ({ req }: Context): boolean => readingMethods.includes(req.method);

/** TRACE would show a page the headers of its own request; CONNECT is for proxies. */
export const onlyKnownMethods: MiddlewareHandler = async (context, next) =>
  methods.includes(context.req.method)
    ? await next()
    : refusal(context, "method_not_allowed", "unknown method", { allow: methods.join(", ") });

/** Whether `origin` is the origin of pages served under the name in this Host header. */
export function isOriginOf(origin: string, host: string | undefined): boolean {
  const page = URL.parse(origin);
  if (page === null || host === undefined || !["http:", "https:"].includes(page.protocol)) return false;
  return page.origin === origin.toLowerCase() && page.host === URL.parse(`${page.protocol}//${host}`)?.host;
}
