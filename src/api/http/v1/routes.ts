// Room: api. Owns /v1: hono's routes, generated from the operations (service/api.ts) and their endpoints (endpoints.ts).

import { type Context, Hono } from "hono";
import type { Logger } from "pino";
import { asSnapmillError } from "../../../domain/errors.ts";
import { type OperationName, type Runnable, runnable } from "../../../service/api.ts";
import type { AuditLog } from "../../../service/audit-log.ts";
import type { Host } from "../../../service/host.ts";
import type { Gate } from "../gate.ts";
import { type Listing, listedPage, readAnswer } from "./answers.ts";
import { audited } from "./audited.ts";
import { asCaller, onlyOwnSite, requireRole, type V1Env } from "./caller.ts";
import { answerChange } from "./changes.ts";
import { type Endpoint, endpoints, eventsPath, pathByQuery } from "./endpoints.ts";
import { answerEvents } from "./events.ts";
import { type Parts, pageOf, reader, requireCertainKey, requireDecodable, withKeyInPath } from "./given.ts";
import { openApiDocument } from "./openapi.ts";
import { servePage } from "./page.ts";
import { kindOf, Problem, problemResponse } from "./problems.ts";
import { targetOf } from "./target.ts";

export interface V1Options {
  readonly host: Host;
  readonly gate: Gate;
  readonly audit: AuditLog;
  readonly log: Logger;
}

/** Serves everything below /v1. Every failure in it is a problem. */
export function v1({ host, gate, audit, log }: V1Options): Hono<V1Env> {
  const app = new Hono<V1Env>();
  app.onError((error, context) => {
    const failure = error instanceof Problem ? error : asSnapmillError(error);
    const caller = context.get("caller") as V1Env["Variables"]["caller"] | undefined;
    if (kindOf(failure) === "internal") {
      log.error({ err: error, path: context.req.path, requestId: caller?.requestId }, "a request failed");
    }
    const answer = problemResponse(failure, caller?.operationId);
    if (caller !== undefined) answer.headers.set("x-request-id", caller.requestId);
    return answer;
  });
  app.use(asCaller(gate), audited(audit), onlyOwnSite);
  app.get(routeOf(eventsPath), async (context) => {
    requireRole(context.get("caller"), "read");
    return await answerEvents(context, host, gate.streams);
  });
  servePage(app);
  let document: Promise<object> | undefined;
  app.get("/openapi.json", async (context) => {
    document ??= openApiDocument();
    return readAnswer(context.req.raw, await document);
  });
  for (const name of Object.keys(endpoints) as OperationName[]) addRoute(app, name, host);
  app.all("*", (context) => {
    throw noRoute(context.req.method, context.req.path);
  });
  return app;
}

/** `/pools/:pool`, as hono has it. */
const routeOf = (path: string): string => path.slice("/v1".length).replace(/\{(\w+)\}/g, ":$1");

function addRoute(app: Hono<V1Env>, name: OperationName, host: Host): void {
  const endpoint: Endpoint = endpoints[name];
  const operation = runnable(name);
  const read = reader(endpoint, operation.input);
  const answer = async (context: Context<V1Env>, partsOf: (parts: Parts) => Parts) => {
    const caller = context.get("caller");
    context.get("change")?.note({ operation: name, pool: context.req.param("pool") ?? null });
    requireRole(caller, endpoint.role);
    const url = new URL(context.req.url);
    if (url.hash !== "" || url.href.endsWith("#")) throw new Problem("no_such_route", "an address has no '#'");
    requireDecodable(url);
    const parts = partsOf({ path: context.req.param(), query: url.searchParams, request: context.req.raw });
    const { target, pool } = targetOf(host, endpoint, parts.path["pool"]);
    switch (endpoint.kind) {
      case "read": {
        const given = await read.given(parts);
        return readAnswer(context.req.raw, await operation.run(target, given, { signal: caller.signal }));
      }
      case "list": {
        const page = pageOf(url.searchParams);
        const given = await read.given(parts, page);
        return readAnswer(context.req.raw, await list(operation, target, given, { url, page, signal: caller.signal }));
      }
      case "change":
      case "long":
        return await answerChange(context, host, {
          name,
          kind: endpoint.kind,
          operation,
          target,
          pool,
          given: await read.given(parts),
        });
    }
  };
  app.on(endpoint.method, routeOf(endpoint.path), (context) =>
    answer(context, (parts) => {
      requireCertainKey(endpoint, parts);
      return parts;
    }),
  );
  const byQuery = pathByQuery(endpoint);
  if (byQuery !== undefined) {
    app.on(endpoint.method, routeOf(byQuery), (context) => answer(context, withKeyInPath));
  }
}

const list = (
  { run, placeOf = () => "" }: Runnable,
  target: unknown,
  given: unknown,
  asked: Pick<Parameters<typeof listedPage>[0], "url" | "page" | "signal">,
) => listedPage({ pages: run(target, given) as Listing["pages"], placeOf, ...asked });

const everyRoute = Object.values(endpoints).flatMap((endpoint: Endpoint) => {
  const { method, path } = endpoint;
  return [path, pathByQuery(endpoint) ?? []].flat().map((at) => ({ method, path: at }));
});
everyRoute.push({ method: "GET", path: eventsPath });
const patterns = everyRoute.map(({ method, path }) => ({
  method,
  pattern: new RegExp(`^${path.replace(/\{\w+\}/g, "[^/]+")}$`),
}));

/** 405 where another method is known at this address, 404 elsewhere. */
function noRoute(method: string, path: string): Problem {
  const there = patterns.filter(({ pattern }) => pattern.test(path)).map((found) => found.method);
  if (there.length === 0) return new Problem("no_such_route", `there is no ${path}`);
  const allow = [...new Set(there.flatMap((known) => (known === "GET" ? ["GET", "HEAD"] : [known])))].join(", ");
  return new Problem("method_not_allowed", `${path} has no ${method}, but ${allow}`, { allow });
}
