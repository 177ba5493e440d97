// Room: test. Owns the memory of what a layer has brought: paths exactly, in little room, up to a bound.
import { expect, test } from "bun:test";
import { type ByteString, bytesOfText, joinBytes } from "../../../src/system/tree/bytes.ts";
import type { Directory } from "../../../src/unpack/apply/directory.ts";
import { LayerPaths } from "../../../src/unpack/apply/layer-paths.ts";
import { PathSet } from "../../../src/unpack/apply/path-set.ts";

const path = (text: string): ByteString => bytesOfText(text);

test("a set knows the paths that it was given, in whatever parts, and no others", () => {
  const set = new PathSet();
  const names = Array.from({ length: 20_000 }, (_, index) => path(`${index % 7}/${index}/name`));
  for (const name of names) set.add(path("a/b"), name);
  for (const name of names) set.add(joinBytes(path("a"), path("b")), name);
  expect(set.size).toBe(20_000);
  expect(names.every((name) => set.has(path("a"), joinBytes(path("b"), name)))).toBe(true);
  expect(names.some((name) => set.has(path("a/c"), name) || set.has(path("a/b/"), name))).toBe(false);
  // One after the other in every bit: a hash that mixes badly would take one for another.
  const similar = Array.from({ length: 50_000 }, (_, index) => path(String.fromCharCode(index & 255, index >> 8)));
  const bytes = new PathSet();
  for (const name of similar) bytes.add(path(""), name);
  expect(bytes.size).toBe(50_000);
});

test("a set knows whether a directory above a path is in it", () => {
  const set = new PathSet();
  expect(set.hasAbove(path("a/b"))).toBe(false);
  set.add(path("a"), path("b"));
  expect(["a/b", "a/b/c", "a/b/c/d"].every((below) => set.hasAbove(path(below)))).toBe(true);
  expect(["", "a", "a/bc", "a/c", "b", "ab"].some((other) => set.hasAbove(path(other)))).toBe(false);
  set.add(path(""), path(""));
  expect(["", "a", "x/y"].every((below) => set.hasAbove(path(below)))).toBe(true);
});

test("a layer brings no more names into the directories of others than it may, and any number into its own", () => {
  const paths = new LayerPaths(100);
  const directory = (isLayers: boolean) => ({ path: path("d"), isLayers }) as Directory;
  for (let index = 0; index < 1000; index++) paths.add(directory(true), path(String(index)));
  for (let index = 0; index < 100; index++) paths.add(directory(false), path(String(index)));
  expect(() => paths.add(directory(false), path("more"))).toThrow("more than 100 names");
});
