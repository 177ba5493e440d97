// Room: test. Owns repeated whiteouts and opaque marks: they remove nothing more, and cost next to nothing.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tar } from "../../support/tar.ts";
import { directory, type Entry, file, opaque, symlink, whiteout } from "../../support/tar-entries.ts";
import { describeTree, type Tree } from "../../support/trees.ts";
import { applyTar, makeScratch, type Scratch } from "../scratch.ts";

setDefaultTimeout(60_000);

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** The tree after `layers`, bottom first. */
async function treeOf(...layers: readonly (readonly Entry[])[]): Promise<Tree> {
  const root = await scratch.root();
  for (const layer of layers) applyTar(root, tar(layer));
  return describeTree(root);
}

const pathsOf = (tree: Tree): string[] => [...tree.keys()].filter((path) => path !== "").sort();

describe("marks that come again", () => {
  /** Applies `first`, has `between` change the root behind the applier's back, and applies `then` of the same layer. */
  async function inTwo(
    lower: readonly Entry[],
    first: readonly Entry[],
    between: (root: string) => void,
    then: readonly Entry[],
  ): Promise<string[]> {
    const root = await scratch.root();
    applyTar(root, tar(lower));
    let isDone = false;
    const pushed = () => {
      if (isDone || !existsSync(join(root, "now"))) return;
      isDone = true;
      between(root);
    };
    applyTar(root, tar([...first, file("now"), ...then]), { chunkBytes: 512, pushed });
    return pathsOf(describeTree(root)).filter((path) => path !== "now");
  }
  const lower = [directory("d"), file("d/old"), directory("d/sub"), file("d/sub/old")];

  test("do not look again through a directory in which all is the layer's", async () => {
    const behind = (root: string) => writeFileSync(join(root, "d/behind"), "");
    const own = [directory("d"), file("d/own")];
    for (const mark of [opaque("d"), whiteout("d")]) {
      expect(await inTwo(lower, [...own, mark], behind, [mark])).toEqual(["d", "d/behind", "d/own"]);
      expect(await inTwo(lower, [...own, opaque("")], behind, [mark])).toEqual(["d", "d/behind", "d/own"]);
    }
    // To be sure that it is seen when it is looked for.
    expect(await inTwo(lower, own, behind, [opaque("d")])).toEqual(["d", "d/own"]);
  });

  test("remove what the layer has brought no more than before", async () => {
    const own = [directory("d/sub"), file("d/sub/own"), whiteout("d")];
    const again = [file("d/more"), whiteout("d/more"), whiteout("d/sub/own"), opaque("d/sub"), whiteout("d")];
    const tree = await treeOf(lower, [...own, ...again, file("d/sub/new"), opaque("d")]);
    expect(pathsOf(tree)).toEqual(["d", "d/more", "d/sub", "d/sub/new", "d/sub/own"]);
  });

  test("through a long way of links do not walk it again each time", async () => {
    const deep = Array.from({ length: 1000 }, () => "d").join("/");
    const names = Array.from({ length: 1500 }, (_, index) => `f${index}`);
    const layer = [...names.map((name) => file(`${deep}/${name}`)), symlink("l", deep), symlink("m", "l")];
    const marks = names.map((name) => whiteout(`m/${name}`));
    // Walked each time, these are one and a half million steps, more than a layer has.
    expect(pathsOf(await treeOf(layer, marks)).filter((path) => path.includes("f"))).toEqual([]);
  });

  test("and links that change behind each mark are refused when that has cost too much", async () => {
    const deep = Array.from({ length: 2000 }, () => "d").join("/");
    const layer = [directory(deep), symlink("l", deep)];
    const marks = Array.from({ length: 100 }, () => [symlink("l", deep), whiteout("l/f")]).flat();
    expect(treeOf(layer, marks)).rejects.toThrow(/the limit is 100000 and 100 for each entry/);
  });
});
