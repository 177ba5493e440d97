// Room: api. Owns the files that pages load: a stylesheet and a script, under addresses that change with their content.
import { readFileSync } from "node:fs";
import type { Hono } from "hono";

/** Of the script, the library comes first, in one file. */
interface Asset {
  readonly path: string;
  readonly etag: string;
  readonly type: string;
  readonly content: string;
}

const asset = (name: string, type: string, ...files: readonly URL[]): Asset => {
  const content = files.map((file) => readFileSync(file, "utf8")).join("\n");
  const hash = new Bun.CryptoHasher("sha256").update(content).digest("hex").slice(0, 16);
  return { path: `/assets/${hash}/${name}`, etag: `"${hash}"`, type: `${type}; charset=utf-8`, content };
};

const own = (name: string): URL => new URL(`assets/${name}`, import.meta.url);

export const assets = {
  style: asset("page.css", "text/css", own("page.css"), own("charts.css")),
  script: asset("live.js", "text/javascript", new URL(import.meta.resolve("idiomorph")), own("live.js")),
} as const;

/** For everybody: they say what snapmill looks like, and nothing of this one. */
export function serveAssets(app: Pick<Hono, "get">): void {
  for (const { path, etag, type, content } of Object.values(assets)) {
    app.get(path, (context) => {
      const headers = { etag, "cache-control": "public, max-age=31536000, immutable" };
      if (context.req.header("if-none-match") === etag) return new Response(null, { status: 304, headers });
      return new Response(content, { headers: { ...headers, "content-type": type } });
    });
  }
}
