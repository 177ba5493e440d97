// Room: test. Owns the directories that are held open: which are closed, and that none is used afterwards.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ByteString, bytesOfText } from "../../../src/system/tree/bytes.ts";
import { must } from "../../../src/system/tree/calls.ts";
import { openDirectoryBelow, openDirectoryIn } from "../../../src/system/tree/tree.ts";
import { DirectoryCache } from "../../../src/unpack/apply/directory-cache.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-cache-"));
  for (const name of ["a", "b", "c", "d", "e"]) mkdirSync(join(directory, name));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const path = (name: string): ByteString => bytesOfText(name);
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

function adopt(cache: DirectoryCache, name: string) {
  const descriptor = must(openDirectoryBelow(rootDescriptor(), path(name)), "open", path(name));
  return cache.adopt(path(name), descriptor, false);
}

let root = -1;
function rootDescriptor(): number {
  if (root < 0) root = must(openDirectoryIn(-100, path(directory)), "open", path(directory));
  return root;
}

describe("a cache of two directories", () => {
  test("closes the least recently used, which then refuses to be used", () => {
    using cache = new DirectoryCache(2);
    const [a, b] = [adopt(cache, "a"), adopt(cache, "b")];
    expect(cache.recall(path("a"))).toBe(a);
    const c = adopt(cache, "c");
    expect(() => b.descriptor).toThrow('"b" was used after it was closed');
    expect([a.descriptor, c.descriptor].every((descriptor) => descriptor >= 0)).toBe(true);
    expect(cache.recall(path("b"))).toBeUndefined();
  });

  test("keeps what the entry holds, however much is opened, and no longer than that", () => {
    using cache = new DirectoryCache(2);
    const held = cache.hold(adopt(cache, "a"));
    const also = cache.hold(adopt(cache, "b"));
    const before = openDescriptors();
    for (const name of ["c", "d", "e"]) adopt(cache, name);
    expect([held.descriptor, also.descriptor].every((descriptor) => descriptor >= 0)).toBe(true);
    expect(openDescriptors()).toBe(before + 1);
    cache.nextEntry();
    adopt(cache, "c");
    expect(() => held.descriptor).toThrow("used after it was closed");
  });

  test("gives a directory its times when it closes it", () => {
    using cache = new DirectoryCache(2);
    utimesSync(join(directory, "a"), 10, 20);
    const a = adopt(cache, "a");
    a.willChange();
    writeFileSync(join(directory, "a", "new"), "");
    expect(statSync(join(directory, "a")).mtimeMs).not.toBe(20_000);
    adopt(cache, "b");
    adopt(cache, "c");
    expect(statSync(join(directory, "a")).mtimeMs).toBe(20_000);
  });

  test("closes all of them with itself", () => {
    rootDescriptor();
    const before = openDescriptors();
    {
      using cache = new DirectoryCache(2);
      adopt(cache, "a");
      adopt(cache, "b");
    }
    expect(openDescriptors()).toBe(before);
  });
});
