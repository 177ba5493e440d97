// Room: test. Owns what the documents say of the tree: files that are there, links that lead somewhere.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const root = join(import.meta.dir, "..");
const documents = ["README.md", ...new Bun.Glob("docs/*.md").scanSync(root)];
const textOf = (document: string): Promise<string> => Bun.file(join(root, document)).text();

/** `src/jobs/contract.ts`, `test/faults/`, `docs/IMAGES.md`: in backticks, from the top of the tree. */
const pathPattern = /`((?:src|workers|test|bench|scripts|docs|drizzle)\/[\w./-]*)`/g;

test("each file that a document names is there", async () => {
  const missing: string[] = [];
  let count = 0;
  for (const document of documents) {
    for (const [, path = ""] of (await textOf(document)).matchAll(pathPattern)) {
      count += 1;
      if (!existsSync(join(root, path))) missing.push(`${document}: ${path}`);
    }
  }
  expect(count).toBeGreaterThan(20);
  expect(missing).toEqual([]);
});

/** A heading's anchor, as the usual renderers make it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");

test("each link of a document leads to a document, and to a heading in it", async () => {
  const broken: string[] = [];
  let count = 0;
  for (const document of documents) {
    const text = await textOf(document);
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      count += 1;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? document : join(dirname(document), path);
      const headings = existsSync(join(root, file)) ? [...(await textOf(file)).matchAll(/^#+ (.+)$/gm)] : undefined;
      const isThere = anchor === undefined || headings?.some(([, heading = ""]) => anchorOf(heading) === anchor);
      if (headings === undefined || !isThere) broken.push(`${document}: ${target}`);
    }
  }
  expect(count).toBeGreaterThan(10);
  expect(broken).toEqual([]);
});

test("README.md leads to every document", async () => {
  const text = await textOf("README.md");
  expect(documents.slice(1).filter((document) => !text.includes(basename(document)))).toEqual([]);
});
