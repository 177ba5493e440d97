// Room: api. Owns the removal of links to other servers, so that the pages work without the internet.
import type { MiddlewareHandler } from "hono";

/** bull-board's page links to a web font; without it, the browser uses a default. */
const foreign = /^(https?:)?\/\//i;

/** Removes links, scripts and images on other servers from a page. */
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
