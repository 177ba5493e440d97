// Room: test. Owns what the applier remembers of a layer: next to nothing, however many entries there are.
import { heapStats } from "bun:jsc";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { tar } from "../../support/tar.ts";
import { directory, type Entry, file, symlink, whiteout } from "../../support/tar-entries.ts";
import { applyTar, makeScratch, type Scratch } from "../scratch.ts";

setDefaultTimeout(60_000);

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** How much more the applier holds at the end of the layer than at its beginning. */
async function heldBytes(layer: readonly Entry[], lower: readonly Entry[] = []): Promise<number> {
  const root = await scratch.root();
  if (lower.length > 0) applyTar(root, tar(lower));
  const sizes: number[] = [];
  const measure = () => {
    Bun.gc(true);
    sizes.push(heapStats().heapSize);
  };
  const bytes = tar(layer);
  const chunkBytes = Math.ceil(bytes.length / 10);
  applyTar(root, bytes, { chunkBytes, pushed: measure });
  return (sizes.at(-1) ?? 0) - (sizes[0] ?? 0);
}

const count = 3000;
const long = "n".repeat(80);
const each = (entry: (name: string) => Entry): Entry[] =>
  Array.from({ length: count }, (_, index) => entry(`${index}-${long}`));

// Held one by one, names alone take more than a hundred and fifty bytes each, and times five hundred.
const boundBytes = count * 100;

test("directories that the layer makes, and all that is in them", async () => {
  expect(await heldBytes(each((name) => directory(`d/${name}`)))).toBeLessThan(boundBytes);
  expect(await heldBytes(each((name) => file(`${name}/f`)))).toBeLessThan(boundBytes);
});

test("names that it brings into directories of the layers below, and directories that it changes", async () => {
  expect(await heldBytes(each((name) => file(name)))).toBeLessThan(boundBytes);
  const lower = each((name) => directory(`d/${name}`));
  expect(await heldBytes(lower, lower)).toBeLessThan(boundBytes);
});

test("marks, and links that are followed", async () => {
  const lower = each((name) => directory(`d/${name}/x`));
  expect(
    await heldBytes(
      each((name) => whiteout(`l/${name}/x`)),
      [...lower, symlink("l", "d")],
    ),
  ).toBeLessThan(2 ** 22 + boundBytes);
});
