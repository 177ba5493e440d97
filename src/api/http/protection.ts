// Room: api. Owns what stands between the pages and the rest of the world: who may see them, what they may load.
import type { MiddlewareHandler } from "hono";
import { basicAuth } from "hono/basic-auth";
import { secureHeaders } from "hono/secure-headers";

export const user = "snapmill";

const whereTokenIs = `the user is ${user}, the password the token: 'snapmill up' says in which file it is\n`;

/** HTTP basic authentication; user and token are compared in constant time. */
export const onlyWithToken = (token: string): MiddlewareHandler =>
  basicAuth({ username: user, password: token, realm: "snapmill", invalidUserMessage: whereTokenIs });

/** Nothing that a page names leaves this server. Styles may stand in the page: bull-board's do. */
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

/**
 * A browser that knows the token sends it along with whatever another site makes it do. It says where a request comes
 * from in Sec-Fetch-Site, but towards plain HTTP that is not loopback only in Origin. A change that says neither is
 * refused; programs (curl) send an Origin.
 */
export const noForeignCommands: MiddlewareHandler = async (context, next) => {
  if (readingMethods.includes(context.req.method)) return await next();
  const site = context.req.header("sec-fetch-site");
  const origin = context.req.header("origin");
  if (site === undefined && origin === undefined) {
    return context.text(
      "refused: a change must say where it comes from: send the header Origin, as http://HOST:PORT\n",
      403,
    );
  }
  const isOwnSite = site === undefined || site === "same-origin" || site === "none";
  const isOwnOrigin = origin === undefined || isOriginOf(origin, context.req.header("host"));
  if (isOwnSite && isOwnOrigin) return await next();
  return context.text("refused: this request was made by another site\n", 403);
};

/** Whether a page of `origin` was served under the name in this Host header. */
export function isOriginOf(origin: string, host: string | undefined): boolean {
  const page = URL.parse(origin);
  if (page === null || host === undefined || !["http:", "https:"].includes(page.protocol)) return false;
  return page.origin === origin.toLowerCase() && page.host === URL.parse(`${page.protocol}//${host}`)?.host;
}

/** `request` for bull-board, which would take a body that is no JSON for none; undefined: it is none. */
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
