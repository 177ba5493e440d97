// Room: api. Owns the page to try the API with: three files, served from here.
import type { Hono, MiddlewareHandler } from "hono";
import type { V1Env } from "./caller.ts";

const files = [
  ["/docs", "index.html", "text/html; charset=utf-8"],
  ["/docs/page.js", "page.js", "text/javascript; charset=utf-8"],
  ["/docs/page.css", "page.css", "text/css; charset=utf-8"],
] as const;

/** Nothing but this server's own script and style, and requests to it. Stricter than what the dashboard can live with. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Goes before what sets the policy of all pages: the last to answer is the first to ask. */
export const strictPolicy: MiddlewareHandler = async (context, next) => {
  await next();
  context.res.headers.set("content-security-policy", policy);
};

export function servePage(app: Hono<V1Env>): void {
  for (const [path, name, type] of files) {
    app.get(path, async (context) => {
      const text = await Bun.file(new URL(`page/${name}`, import.meta.url)).text();
      return context.body(text, 200, { "content-type": type });
    });
  }
}
