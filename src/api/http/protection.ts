// Room: api. Owns the protection of the pages: authentication, content security policy, and cross-site requests.
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { basicAuth } from "hono/basic-auth";
import { secureHeaders } from "hono/secure-headers";
import type { Authenticate } from "./v1/caller.ts";

export const user = "snapmill";

const whereTokenIs = `the user is ${user}, the password is the token: 'snapmill up' prints the name of its file\n`;

/** HTTP basic authentication; user and token are compared in constant time. */
export const onlyWithToken = (token: string): MiddlewareHandler =>
  basicAuth({ username: user, password: token, realm: "snapmill", invalidUserMessage: whereTokenIs });

/** The API takes the same token: as a bearer's, or as the password of the same user. */
export const byToken = (token: string): Authenticate => {
  const accepted = [`Bearer ${token}`, `Basic ${btoa(`${user}:${token}`)}`].map(sha256);
  return (request) => {
    const given = sha256(request.headers.get("authorization") ?? "");
    const isValid = accepted.map((known) => timingSafeEqual(known, given)).includes(true);
    return isValid ? { tokenName: user, role: "operate" } : undefined;
  };
};

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

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

/**
 * A browser that knows the token also sends it with requests that another site triggers. It names the site of a request
 * in Sec-Fetch-Site, but over plain HTTP to a host other than loopback only in Origin. A change with neither header is
 * refused; programs (curl) send an Origin.
 */
export const noForeignCommands: MiddlewareHandler = async (context, next) => {
  if (readingMethods.includes(context.req.method)) return await next();
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
