// Tests the demo with a given image: the whole run, and that its check finds differences.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { compareByTar } from "../../scripts/demo-check.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeImage } from "../support/images.ts";
import { loopsBackedBelow, mountsBelow, processesOf } from "../support/residue.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { tar } from "../support/tar.ts";
import { directory, type Entry, file, hardLink, opaque, symlink, whiteout } from "../support/tar-entries.ts";

setDefaultTimeout(120_000);
const root = join(import.meta.dir, "../..");

test("the demo unpacks, compares and takes down an image of one's own, and its next commands work", async () => {
  await using scratch = await temporaryDirectory();
  const { reference } = await writeSmallImage(join(scratch.path, "image"));
  const home = join(scratch.path, "demo");
  const demo = Bun.spawnSync([process.execPath, "scripts/demo.ts", "--dir", home, reference], { cwd: root });
  const stdout = demo.stdout.toString();
  expect({ exitCode: demo.exitCode, stderr: demo.exitCode === 0 ? "" : demo.stderr.toString() }).toEqual({
    exitCode: 0,
    stderr: "",
  });
  expect(stdout).toMatch(/\d{3} files identical/);
  expect(stdout).toContain("no mount, loop device or process is left");
  const residue = () => [...mountsBelow(home), ...loopsBackedBelow(home), ...processesOf(home)];
  expect(residue()).toEqual([]);

  const suggested = [...stdout.matchAll(/^ {2}\.\/snapmill ((?:ls|stat|images|status|unpack) .*)$/gm)];
  expect(suggested).toHaveLength(5);
  for (const [, line = ""] of suggested) {
    const command = Bun.spawnSync(["./snapmill", ...line.split(" ")], { cwd: root });
    expect({ line, exitCode: command.exitCode, left: residue() }).toEqual({ line, exitCode: 0, left: [] });
  }
});

describe("the check by GNU tar", () => {
  const layers: readonly (readonly Entry[])[] = [
    [
      directory("a"),
      file("a/kept", "kept"),
      file("a/changed", "old"),
      file("gone", "x"),
      directory("o"),
      file("o/x", "x"),
    ],
    [file("a/changed", "new"), whiteout("gone"), opaque("o"), file("o/y", "y"), symlink("link", "a")],
    [file("link/below a link", "z"), hardLink("twin", "a/kept")],
  ];
  const whole: readonly Entry[] = [
    directory("a"),
    file("a/kept", "kept"),
    file("a/changed", "new"),
    directory("o"),
    file("o/y", "y"),
    symlink("link", "a"),
    file("a/below a link", "z"),
    hardLink("twin", "a/kept"),
  ];

  const spoilings: readonly (readonly [
    what: string,
    spoil: (path: string) => Promise<void>,
    word: string | undefined,
  ])[] = [
    ["nothing", () => Promise.resolve(), undefined],
    ["content", (path) => writeFile(join(path, "a/kept"), "KEPT"), "a/kept"],
    ["content that a higher layer gave", (path) => writeFile(join(path, "a/changed"), "old"), "a/changed"],
    ["a time", (path) => utimes(join(path, "o/y"), 1, 1), "o/y"],
    ["a file that is missing", (path) => rm(join(path, "a/below a link")), "below"],
    ["a file that is too many", (path) => writeFile(join(path, "stray"), ""), '"stray": in no layer'],
    ["a file that should have been removed", (path) => writeFile(join(path, "gone"), "x"), '"gone"'],
    ["a file that was below an opaque directory", (path) => writeFile(join(path, "o/x"), "x"), '"o/x"'],
  ];

  test.each(spoilings)("finds %s", async (_what, spoil, word) => {
    await using scratch = await temporaryDirectory();
    const { reference } = await writeImage(
      join(scratch.path, "image"),
      layers.map((content) => ({ content })),
    );
    const files = join(scratch.path, "files");
    await mkdir(files);
    const unpacked = Bun.spawnSync(["tar", "--extract", "--same-permissions", "--directory", files], {
      stdin: tar(whole),
    });
    expect(unpacked.exitCode).toBe(0);
    await spoil(files);
    const { compared, differences } = await compareByTar(reference, files, AbortSignal.timeout(20_000));
    expect(compared).toBe(8);
    if (word === undefined) expect(differences).toEqual([]);
    else expect(differences.join("\n")).toContain(word);
  });
});
