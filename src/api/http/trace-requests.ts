// Room: api. Owns how requests of the API show in traces: one span each, in the trace of its caller.
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { internal } from "../../domain/errors.ts";
import { describeWork, inWork } from "../../domain/work.ts";

/** Goes before everything that answers. What a caller puts into a path stays out of the span's name. */
export const traceRequests: MiddlewareHandler = (context, next) => {
  const { method, path } = context.req;
  const attributes = { "http.request.method": method, "url.path": path };
  const parent = context.req.header("traceparent");
  return inWork({ name: method, kind: "server", parent, attributes }, async () => {
    await next();
    const { status } = context.res;
    // Those of middleware are for whatever is below them.
    const route = matchedRoutes(context).findLast((matched) => !matched.path.endsWith("*"))?.path;
    describeWork({
      ...(route !== undefined && { name: `${method} ${route}` }),
      attributes: { "http.route": route, "http.response.status_code": status },
      ...(status >= 500 && { failure: context.error ?? internal(`answered with ${status}`) }),
    });
  });
};
