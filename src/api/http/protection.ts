// Room: api. Owns what stands between the pages and the rest of the world: who may see them, what they may load.
import type { MiddlewareHandler } from "hono";
import { basicAuth } from "hono/basic-auth";
import { secureHeaders } from "hono/secure-headers";

export const user = "snapmill";

/** HTTP basic authentication; user and token are compared in constant time. */
export const onlyWithToken = (token: string): MiddlewareHandler =>
  basicAuth({ username: user, password: token, realm: "snapmill" });

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

/**
 * A browser that knows the token sends it along with whatever another site makes it do. Browsers say where a request
 * comes from; programs (curl) say nothing, and are let through.
 */
export const noForeignCommands: MiddlewareHandler = async (context, next) => {
  const site = context.req.header("sec-fetch-site");
  const isForeign = site !== undefined && site !== "same-origin" && site !== "none";
  if (isForeign && !["GET", "HEAD"].includes(context.req.method)) {
    return context.text("refused: this request was made by another site\n", 403);
  }
  return await next();
};
