// Room: test. Owns the search for what keeps people out of a page: axe-core, run in the page.
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";

const wcag = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
const severe = new Set(["serious", "critical"]);

/** What the page cannot ask for by itself, since its CSP allows no foreign script. */
const source = () => Bun.file(createRequire(import.meta.url).resolve("axe-core/axe.min.js")).text();

const options = {
  runOnly: { type: "tag", values: [...wcag, "best-practice"] },
  resultTypes: ["violations"],
  // It would fetch the style sheets once more.
  preload: false,
};

/**
 * One sentence for each violation of a WCAG 2.1 rule of level A or AA, and of good practice where the fault is serious, in
 * the page as it is now. The page's scripts must be allowed to run.
 */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  if ((await page.evaluate<string>("typeof axe")) === "undefined") await page.evaluate(await source());
  const { violations } = await page.evaluate<AxeResults>(`axe.run(document, ${JSON.stringify(options)})`);
  const counted = violations.filter(
    ({ impact, tags }) => tags.some((tag) => wcag.includes(tag)) || severe.has(impact ?? ""),
  );
  return counted.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => {
      const [, ...reasons] = (failureSummary ?? "").split("\n").map((line) => line.trim());
      return `${id} at ${target.join(" ")}: ${reasons.join("; ")}`;
    }),
  );
}
