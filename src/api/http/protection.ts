// Room: api. Owns the protection of the pages: authentication, content security policy, and cross-site requests.
import type { Context, MiddlewareHandler } from "hono";
import { secureHeaders } from "hono/secure-headers";
import type { Caller } from "../../domain/callers.ts";
import { type Bindings, type Gate, user } from "./gate.ts";

export interface PagesEnv {
  readonly Bindings: Bindings;
  readonly Variables: { readonly caller: Caller };
}

const whereTokenIs = `the user is ${user}, the password is the token: 'snapmill up' prints the name of its file\n`;

/** HTTP basic authentication for people, a bearer's token for programs. What is behind it, others do not learn. */
export const onlyWithToken =
  (gate: Gate): MiddlewareHandler<PagesEnv> =>
  async (context, next) => {
    const entry = await gate.enter(context.req.raw, context.env.peer);
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

/** Pages may load resources from this server only. Inline styles are allowed: bull-board has some. */
export const onlyFromHere: MiddlewareHandler = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", "data:"],
    objectSrc: ["'none'"],
    baseUri: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
  referrerPolicy: "no-referrer",
  strictTransportSecurity: false,
});

const readingMethods: readonly string[] = ["GET", "HEAD", "OPTIONS"];
const methods: readonly string[] = [...readingMethods, "POST", "PUT", "PATCH", "DELETE"];

export const isReading = ({ req }: Context): boolean => readingMethods.includes(req.method);

/** TRACE would show a page the headers of its own request; CONNECT is for proxies. */
export const onlyKnownMethods: MiddlewareHandler = async (context, next) =>
  methods.includes(context.req.method) ? await next() : context.text("refused: unknown method\n", 405);

/**
 * A browser that knows the token also sends it with requests that another site triggers. It names the site of a request
 * in Sec-Fetch-Site, but over plain HTTP to a host other than loopback only in Origin. A change with neither header is
 * refused; programs (curl) send an Origin.
 */
export const noForeignCommands: MiddlewareHandler = async (context, next) => {
  if (isReading(context)) return await next();
  const site = context.req.header("sec-fetch-site");
  const origin = context.req.header("origin");
  if (site === undefined && origin === undefined) {
    return context.text("refused: a change needs the header Origin, as http://HOST:PORT\n", 403);
  }
  const isOwnSite = site === undefined || site === "same-origin" || site === "none";
  const isOwnOrigin = origin === undefined || isOriginOf(origin, context.req.header("host"));
  if (isOwnSite && isOwnOrigin) return await next();
  return context.text("refused: this request comes from another site\n", 403);
};

/** Whether `origin` is the origin of pages served under the name in this Host header. */
export function isOriginOf(origin: string, host: string | undefined): boolean {
  const page = URL.parse(origin);
  if (page === null || host === undefined || !["http:", "https:"].includes(page.protocol)) return false;
  return page.origin === origin.toLowerCase() && page.host === URL.parse(`${page.protocol}//${host}`)?.host;
}

/**
 * `request` with its body checked, since bull-board treats a body that is not JSON as empty; undefined: it is not JSON.
 */
export async function withSoundBody(request: Request): Promise<Request | undefined> {
  if (readingMethods.includes(request.method)) return request;
  const text = await request.text();
  if (text === "") return new Request(request.url, { method: request.method, headers: request.headers });
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return new Request(request.url, { method: request.method, headers: request.headers, body: text });
}
