// Room: api. Owns /healthz and /readyz, for probes: neither needs a token, and what is wrong is told with one.
import type { Hono, MiddlewareHandler } from "hono";
import { type Health, publicHealth } from "../../domain/health.ts";
import type { PagesEnv } from "./protection.ts";

type Guard = MiddlewareHandler<PagesEnv>;

/**
 * `/healthz` answers 200 as long as this process answers at all, and asks nothing: what fails otherwise is mended by a
 * restart of the process. `/readyz` answers 503 while jobs are not taken and worked off; to requests with credentials,
 * which `guard` checks, with the reasons. `health` is cheap at any rate: it looks once a second at most.
 */
export function serveHealth(app: Hono<PagesEnv>, health: () => Promise<Health>, guard: Guard): void {
  app.get("/healthz", (context) => context.json({ ok: true }));
  const guardIfGiven: Guard = async (context, next) =>
    context.req.header("authorization") === undefined ? await next() : await guard(context, next);
  app.get("/readyz", guardIfGiven, async (context) => {
    const found = await health();
    const isKnown = context.req.header("authorization") !== undefined;
    return context.json(isKnown ? found : publicHealth(found), found.ok ? 200 : 503);
  });
}
