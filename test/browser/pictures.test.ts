// Room: test. Owns the check that docs/DASHBOARD.md shows every page.
import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { pictureFiles } from "../../scripts/picture-files.ts";
import { pages } from "../../src/api/http/pages/pages.ts";

const documents = join(import.meta.dir, "../../docs");

test("docs/DASHBOARD.md shows every page; otherwise run npm run screenshots, look at them, and put them there", async () => {
  const text = await Bun.file(join(documents, "DASHBOARD.md")).text();
  const files = pages.flatMap(({ path }) => pictureFiles(path));
  expect(new Set(files).size).toBe(files.length);
  expect(files.filter((file) => !existsSync(join(documents, file)))).toEqual([]);
  expect(files.filter((file) => !text.includes(`](${file})`))).toEqual([]);
  expect(files.filter((file) => statSync(join(documents, file)).size > 150_000)).toEqual([]);
});
