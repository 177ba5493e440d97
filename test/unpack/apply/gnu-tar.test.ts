// Room: test. Owns the comparison with GNU tar: both unpack the same archives, and the trees must be equal.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { lstatSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../../../src/system/process/commands.ts";
import { tar } from "../../support/tar.ts";
import { file } from "../../support/tar-entries.ts";
import { describeTree, diffTrees } from "../../support/trees.ts";
import { applyTar, makeScratch, type Scratch } from "../scratch.ts";

setDefaultTimeout(60_000);

let scratch: Scratch;
let source: string;
beforeAll(async () => {
  scratch = await makeScratch();
  source = await scratch.root();
  await runCommand("python3", [join(import.meta.dir, "gnu-tar-tree.py"), source]);
});
afterAll(() => scratch[Symbol.asyncDispose]());

const xattrFlags = ["--xattrs", "--xattrs-include=*"];

async function compare(pack: readonly string[], unpack: readonly string[] = xattrFlags): Promise<string> {
  const directory = await mkdtemp(join(scratch.directory, "case-"));
  const archive = join(directory, "archive.tar");
  await runCommand("tar", ["-C", source, "-cf", archive, ...pack, "."], { successCodes: [0] });
  const [wanted, actual] = [await scratch.root(), await scratch.root()];
  await runCommand("tar", ["-C", wanted, "-xpf", archive, "--numeric-owner", "--same-owner", ...unpack]);
  const bytes = await readFile(archive);
  applyTar(actual, bytes, { chunkBytes: 10_007 });
  expect(diffTrees(describeTree(wanted), describeTree(actual))).toEqual([]);
  expect(describeTree(actual).size).toBeGreaterThan(35);
  return actual;
}

describe("what GNU tar wrote is unpacked as GNU tar does", () => {
  test("in PAX format, with extended attributes and nanoseconds", () => compare(["--format=posix", ...xattrFlags]));

  test("and is then equal to the tree that it was made from", async () => {
    const actual = await compare(["--format=posix", "--sparse", ...xattrFlags]);
    expect(diffTrees(describeTree(source), describeTree(actual))).toEqual([]);
  });

  test("in GNU format, with its long names", () => compare(["--format=gnu"]));

  test("in old GNU format", () => compare(["--format=oldgnu"]));

  test("in ustar format", () =>
    compare([
      "--format=ustar",
      "--exclude=names",
      "--exclude=times/old",
      "--exclude=times/half",
      "--exclude=modes/0",
      "--exclude=long-name*",
    ]));

  test("in v7 format", () =>
    compare([
      "--format=v7",
      "--exclude=names",
      "--exclude=special",
      "--exclude=times/old",
      "--exclude=times/half",
      "--exclude=modes/0",
      "--exclude=long-name*",
    ]));

  for (const form of ["gnu", "oldgnu"]) {
    test(`with sparse files in the ${form} form, whose holes stay holes`, async () => {
      expectHoles(await compare([`--format=${form}`, "--sparse"]));
    });
  }

  for (const version of ["0.0", "0.1", "1.0"]) {
    test(`with sparse files in the PAX form ${version}, whose holes stay holes`, async () => {
      expectHoles(await compare(["--format=posix", "--sparse", `--sparse-version=${version}`]));
    });
  }

  test("with a global PAX header", async () => {
    await compare(["--format=posix", "--pax-option=globexthdr.name=g,comment=all of it,exthdr.name=x"]);
  });
});

function expectHoles(root: string): void {
  for (const name of ["all-hole", "few", "many", "tail"]) {
    const { blocks, size } = lstatSync(join(root, "sparse", name));
    expect(size).toBeGreaterThan(2 ** 21);
    expect(blocks * 512).toBeLessThan(size / 8);
  }
}

describe("what other programs wrote", () => {
  for (const format of ["USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT"]) {
    test(`Python's ${format} is unpacked as GNU tar does`, async () => {
      const directory = await mkdtemp(join(scratch.directory, "python-"));
      const archive = join(directory, "archive.tar");
      const program = [
        "import sys, tarfile",
        `t = tarfile.open(sys.argv[1], "w", format=tarfile.${format}, encoding="utf-8", errors="surrogateescape")`,
        'for d in ("plain", "links", "special", "setgid"): t.add(sys.argv[2] + "/" + d, d)',
        "t.close()",
      ];
      await runCommand("python3", ["-c", program.join("\n"), archive, source]);
      const [wanted, actual] = [await scratch.root(), await scratch.root()];
      await runCommand("tar", ["-C", wanted, "-xpf", archive, "--numeric-owner", "--same-owner"]);
      applyTar(actual, await readFile(archive), { chunkBytes: 4096 });
      const [left, right] = [new Map(describeTree(wanted)), new Map(describeTree(actual))];
      // The archive has no entry for the root: GNU tar leaves the root's time to the system.
      for (const tree of [left, right]) tree.delete("");
      expect(diffTrees(left, right)).toEqual([]);
      expect(right.size).toBeGreaterThan(20);
    });
  }

  test("libarchive's attributes, percent-encoded names and base64 values, are unpacked", async () => {
    const root = await scratch.root();
    const value = Buffer.from([1, 2, 0, 255]);
    const pax = { "LIBARCHIVE.xattr.user.a%3Db": value.toString("base64").replace(/=+$/, "") };
    applyTar(root, tar([file("f", "x", { pax })]));
    expect(describeTree(root).get("f")?.["xattr user.a=b"]).toBe(value.toString("hex"));
  });
});
