// Room: api. Owns the counting of HTTP requests by route and status.
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { observed } from "../../domain/tally.ts";

/** A request's method is any word. */
const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Where a request that no route is for is counted. */
const nowhere = "none";

/**
 * Goes before everything that answers. A route is the method and the pattern, as in `GET /v1/pools/:pool`: what a caller
 * puts into a path stays out of the metrics.
 */
export const countRequests: MiddlewareHandler = async (context, next) => {
  await next();
  const { method } = context.req;
  const pattern = matchedRoutes(context).findLast(({ path }) => path !== everything)?.path ?? nowhere;
  const route = `${methods.has(method) ? method : "other"} ${pattern}`;
  observed.count("snapmill_http_requests_total", { route, code: String(context.res.status) });
};

/** The pattern of middleware that was not given one. */
const everything = "/*";
