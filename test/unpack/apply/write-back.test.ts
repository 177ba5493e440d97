// Room: test. Owns what of a layer goes to the disk before its end.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { tar } from "../../support/tar.ts";
import { file } from "../../support/tar-entries.ts";
import { until } from "../../support/until.ts";
import { applyTar, makeScratch, type Scratch } from "../scratch.ts";

setDefaultTimeout(60_000);

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** How much has been written to the device below `path`: its seventh figure is in sectors (kernel documentation, "stat"). */
function writtenBytes(path: string): number {
  const { dev } = statSync(path);
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const figures = readFileSync(`/sys/dev/block/${major}:${minor}/stat`, "latin1").trim().split(/\s+/);
  return Number(figures[6]) * 512;
}

/** The kernel itself would begin after half a minute. */
const soonMs = 10_000;

test("the content of a large file is on its way to the disk when the next entry follows", async () => {
  const root = await scratch.root();
  const before = writtenBytes(root);
  const content = Buffer.alloc(4 * 2 ** 20, "x");
  applyTar(root, tar([file("large", content), file("next", "")]));
  await until("it is written", () => writtenBytes(root) - before >= content.length, undefined, soonMs);
});

test("and that of a file that is larger than what may be held of it, before its own end", async () => {
  const root = await scratch.root();
  const before = writtenBytes(root);
  const content = Buffer.alloc(24 * 2 ** 20, "x");
  const whole = tar([file("larger", content)]);
  // The rest of the tar never comes.
  expect(() => applyTar(root, whole.subarray(0, 20 * 2 ** 20))).toThrow("truncated");
  await until("most of it is written", () => writtenBytes(root) - before >= 16 * 2 ** 20, undefined, soonMs);
});
