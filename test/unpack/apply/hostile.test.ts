// Room: test. Owns hostile layers: nothing outside the root changes, and errors are clear.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isSnapmillError, type SnapmillError } from "../../../src/domain/errors.ts";
import { tar } from "../../support/tar.ts";
import {
  characterDevice,
  directory,
  type Entry,
  fifo,
  file,
  hardLink,
  opaque,
  raw,
  sparse,
  symlink,
  whiteout,
} from "../../support/tar-entries.ts";
import { describeTree, diffTrees } from "../../support/trees.ts";
import { applyTar, makeScratch, type Scratch } from "../scratch.ts";

setDefaultTimeout(60_000);

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** A root in a directory of its own, with a victim beside it that no layer may touch. */
async function guarded() {
  const outer = await scratch.root();
  const root = join(outer, "root");
  const victim = join(outer, "victim");
  await mkdir(root);
  await mkdir(victim);
  await writeFile(join(victim, "secret"), "secret");
  return { root, victim, before: describeTree(victim) };
}

/** Applies the layers one after the other; the error of the first that fails. The victim must be as it was. */
async function apply(...layers: readonly (readonly Entry[])[]) {
  const { root, victim, before } = await guarded();
  let failure: SnapmillError | undefined;
  try {
    for (const layer of layers) applyTar(root, tar(layer));
  } catch (error) {
    if (!isSnapmillError(error)) throw error;
    failure = error;
  }
  expect(diffTrees(before, describeTree(victim))).toEqual([]);
  return { failure, tree: describeTree(root) };
}

describe("a layer that tries to leave its root", () => {
  test("stays inside with names that climb or start at the top", async () => {
    const { failure, tree } = await apply([
      file("../../victim/secret", "evil"),
      file("/victim/absolute", "evil"),
      file("a/../../../victim/dots", "evil"),
    ]);
    expect(failure).toBeUndefined();
    for (const name of ["secret", "absolute", "dots"]) expect(tree.get(`victim/${name}`)?.["type"]).toBe("file");
  });

  for (const target of ["../victim", "../../../../../../victim", "/../victim", "a/../../victim"]) {
    test(`stays inside through a symbolic link to ${target}`, async () => {
      const link = symlink("link", target);
      const attack = [
        file("link/secret", "evil"),
        file("link/new", "evil"),
        directory("link/d"),
        whiteout("link/secret"),
      ];
      for (const layers of [[[link, ...attack]], [[link], attack]]) {
        const { tree } = await apply([directory("a"), directory("victim")], ...layers);
        expect(tree.get("victim/new")?.["type"]).toBe("file");
      }
    });
  }

  test("stays inside when a directory becomes a link to elsewhere half-way", async () => {
    const { root, victim, before } = await guarded();
    const swap = [
      directory("d"),
      file("d/a"),
      symlink("d", victim),
      file("d/secret", "evil"),
      directory("d", { mode: 0 }),
    ];
    applyTar(root, tar([...swap, symlink("d", "../victim"), file("d/secret", "evil"), opaque("d")]));
    expect(diffTrees(before, describeTree(victim))).toEqual([]);
  });

  test("gives no directory behind a link new times or modes", async () => {
    const { root, victim, before } = await guarded();
    applyTar(
      root,
      tar([directory("d", { mode: 0o700, mtimeNs: 1n }), symlink("d", victim), symlink("e", "../victim")]),
    );
    applyTar(root, tar([directory("e", { mode: 0o700, mtimeNs: 1n })]));
    expect(diffTrees(before, describeTree(victim))).toEqual([]);
  });

  test("cannot link to a file outside", async () => {
    for (const target of ["../victim/secret", "/victim/secret", "link/secret"]) {
      const { failure } = await apply([
        symlink("link", "../victim"),
        hardLink("stolen", target),
        file("stolen", "evil"),
      ]);
      expect(failure).toMatchObject({ code: "invalid_argument" });
      expect(failure?.message).toContain('entry "stolen"');
      expect(failure?.message).toContain("does not exist");
    }
  });

  test("cannot write through a hard link to a symbolic link", async () => {
    const layer = [symlink("s", "../victim/secret"), hardLink("h", "s"), file("h", "evil"), file("s", "evil")];
    const { failure, tree } = await apply(layer);
    expect(failure).toBeUndefined();
    expect(tree.get("h")?.["type"]).toBe("file");
  });

  test("cannot reach the kernel's own links", async () => {
    const { failure } = await apply([symlink("p", "/proc/self/root"), file("p/victim/x", "evil")]);
    expect(failure).toBeUndefined();
  });
});

describe("a whiteout that names no file", () => {
  for (const name of [".wh.", "d/.wh.", ".wh..", ".wh...", "d/.wh...", "../.wh..."]) {
    test(`${name} is refused`, async () => {
      const { failure, tree } = await apply([directory("d"), file("d/kept"), file(name)]);
      expect(failure).toMatchObject({ code: "invalid_argument" });
      expect(failure?.message).toContain("a whiteout that names no file");
      expect(tree.has("d/kept")).toBe(true);
    });
  }

  test("of something above the root removes nothing", async () => {
    const { failure } = await apply([whiteout("../victim/secret"), whiteout("../../victim"), opaque("../victim")]);
    expect(failure).toBeUndefined();
  });
});

describe("an entry that no file system takes", () => {
  const long = "n".repeat(256);
  const deep = `${"d/".repeat(2048)}f`;
  const cases: readonly (readonly [string, readonly Entry[], string])[] = [
    ["a component of 256 bytes", [file(long)], "longer than the file system allows"],
    ["a directory's component of 256 bytes", [file(`${long}/f`)], "longer than the file system allows"],
    ["a path of 4,097 bytes", [file(deep)], "longer than 4095 bytes"],
    ["a link target of 4,096 bytes", [symlink("l", "t".repeat(4096))], "longer than the file system allows"],
    ["a name that is long in dots alone", [file("f", "", { pax: { path: `${"./".repeat(40_000)}f` } })], "longer than"],
    [
      "a link target of dots alone",
      [hardLink("h", "", { pax: { linkpath: `${"./".repeat(40_000)}f` } })],
      "longer than",
    ],
    ["an empty link target", [symlink("l", "")], "its target is empty"],
    ["an entry below a file", [file("f"), file("f/x")], "a file is where its path needs a directory"],
    ["a loop of links", [symlink("a", "b"), symlink("b", "a"), file("a/x")], "too many symbolic links"],
    ["a file as the root", [file("./", "x")], "would replace the root"],
    ["a link as the root", [symlink("/", "x")], "would replace the root"],
    ["a hard link to a directory", [directory("d"), hardLink("h", "d")], "is a directory"],
    ["a hard link to nothing", [hardLink("h", "nothing")], "does not exist"],
    ["a hard link to itself, which is not there", [hardLink("h", "h")], "does not exist"],
    ["a hard link to itself, a directory", [directory("h"), hardLink("h", "./h")], "is a directory"],
    ["a hard link to itself through a link", [symlink("l", "/"), hardLink("h", "l/h")], "does not exist"],
    ["a hard link over its target's directory", [file("h/d/t"), hardLink("h", "h/d/t")], "lies below it"],
    [
      "a hard link over the directory of itself",
      [file("h/t"), symlink("l", "h"), hardLink("h", "l/t")],
      "lies below it",
    ],
    ["a device number beyond 12 bits", [characterDevice("c", 4096, 0)], "out of range"],
    ["a device number beyond 20 bits", [characterDevice("c", 0, 1_048_576)], "out of range"],
    ["a capability that is none", [file("f", "", { xattrs: { "security.capability": "x" } })], "invalid"],
    ["a NUL in its name", [file("f", "", { pax: { path: "a\0b" } })], "contains a NUL"],
    ["a NUL in its target", [symlink("l", "t", { pax: { linkpath: "a\0b" } })], "contains a NUL"],
    ["an owner that means no user", [file("f", "", { pax: { uid: "4294967295" } })], "uid"],
  ];
  for (const [what, layer, reason] of cases) {
    test(`${what} is refused by name and reason`, async () => {
      const { failure } = await apply(layer);
      expect(failure).toMatchObject({ code: "invalid_argument" });
      expect(failure?.message).toContain("entry ");
      expect(failure?.message).toContain(reason);
    });
  }

  test("a path that symbolic links make too long is refused", async () => {
    const way = `${"d".repeat(200)}/`.repeat(15);
    const { failure } = await apply([file(`${way}f`), symlink("l", way), file(`l/${way}f`)]);
    expect(failure).toMatchObject({ code: "invalid_argument" });
  });

  test("an attribute that ext4 has no room for is refused as that, with the way out", async () => {
    const { failure } = await apply([file("f", "", { xattrs: { "user.big": "v".repeat(5000) } })]);
    expect(failure).toMatchObject({ code: "failed_precondition" });
    expect(failure?.message).toMatch(/entry "f": .*"user.big" of 5000 bytes does not fit: ext4 .*SNAPMILL_FS_TYPE=xfs/);
    const huge = await apply([fifo("p", { xattrs: { "trusted.huge": "v".repeat(70_000) } })]);
    expect(huge.failure).toMatchObject({ code: "invalid_argument" });
    expect(huge.failure?.message).toContain("65536 bytes");
  });

  test("a file larger than the file system allows is refused as that, whether it says so or has data there", async () => {
    const at = (offsetBytes: number, content: string, sizeBytes: number) =>
      sparse("f", sizeBytes, [{ offsetBytes, content: Buffer.from(content) }]);
    for (const entry of [at(0, "x", 2 ** 52), at(2 ** 50, "x", 2 ** 51)]) {
      const { failure } = await apply([entry]);
      expect(failure).toMatchObject({ code: "failed_precondition" });
      expect(failure?.message).toMatch(/entry "f": it is larger than the file system allows/);
    }
  });

  test("a tree deeper than a process may have files open is made and removed", async () => {
    const way = `${"d/".repeat(2040)}f`;
    const { failure, tree } = await apply([file(way, "deep")], [whiteout("d")]);
    expect(failure).toBeUndefined();
    expect([...tree.keys()]).toEqual([""]);
  });

  test("garbage instead of an entry is refused with its place", async () => {
    const { failure } = await apply([file("f"), raw(Buffer.alloc(512, "garbage!"))]);
    expect(failure).toMatchObject({ code: "invalid_argument" });
    expect(failure?.message).toContain("tar at byte 512");
  });
});
