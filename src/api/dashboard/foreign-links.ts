// Room: api. Owns the pages' independence of the internet: what they would fetch from other servers is taken out.
import type { MiddlewareHandler } from "hono";

/** bull-board's page links a web font; without it the browser takes its own. */
const foreign = /^(https?:)?\/\//i;

/** Removes links, scripts and images of other servers from a page. */
export function removeForeignLinks(page: Response): Response {
  const dropForeign = (attribute: "href" | "src") => ({
    element: (element: HTMLRewriterTypes.Element) => {
      if (foreign.test(element.getAttribute(attribute) ?? "")) element.remove();
    },
  });
  return new HTMLRewriter()
    .on("link[href]", dropForeign("href"))
    .on("script[src]", dropForeign("src"))
    .on("img[src]", dropForeign("src"))
    .transform(page);
}

export const withoutForeignLinks: MiddlewareHandler = async (context, next) => {
  await next();
  if (context.res.headers.get("content-type")?.startsWith("text/html") !== true) return;
  context.res = removeForeignLinks(context.res);
};
