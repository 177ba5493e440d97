import { describe, expect, test } from "bun:test";
import { link, mkdir, realpath, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { isSnapmillError } from "../../../src/domain/errors.ts";
import { type FilePlace, openRegularFile, regularFileSize } from "../../../src/system/file/regular-file.ts";
import { runCommand } from "../../../src/system/process/commands.ts";
import { temporaryDirectory } from "../../support/directories.ts";

const failureOf = (place: FilePlace): Promise<unknown> =>
  openRegularFile(place).then(
    async (file) => {
      await file[Symbol.asyncDispose]();
      return "it was opened";
    },
    (error: unknown) => error,
  );

async function refusalOf(place: FilePlace): Promise<string> {
  const error = await failureOf(place);
  return isSnapmillError(error, "failed_precondition") ? error.message : String(error);
}

describe("a regular file", () => {
  test("is opened for reading, with its size", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "file");
    await writeFile(path, "hello");
    await using file = await openRegularFile({ path });
    expect([file.sizeBytes, (await file.handle.readFile()).toString()]).toEqual([5, "hello"]);
    expect(await regularFileSize({ path })).toBe(5);
    expect(await regularFileSize({ path: `${path}.gone` })).toBeUndefined();
    expect(await regularFileSize({ path: `${path}/below` })).toBeUndefined();
    expect(await failureOf({ path: `${path}.gone` })).toMatchObject({ code: "ENOENT" });
  });

  test("is the only thing that is opened: a pipe, a socket, a device or a directory is named", async () => {
    await using directory = await temporaryDirectory();
    const at = (name: string) => join(directory.path, name);
    await runCommand("mkfifo", [at("pipe")]);
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(at("socket"), resolve);
    });
    try {
      expect(await refusalOf({ path: at("pipe") })).toBe(`${at("pipe")} is not a regular file: it is a pipe`);
      expect(await refusalOf({ path: at("socket") })).toContain("it is a socket");
      expect(await refusalOf({ path: "/dev/zero" })).toContain("it is a device");
      expect(await refusalOf({ path: directory.path })).toContain("it is a directory");
    } finally {
      server.close();
    }
  });

  test("that is swapped for a pipe all the time is opened or refused, and never waited for", async () => {
    await using directory = await temporaryDirectory();
    const at = (name: string) => join(directory.path, name);
    await writeFile(at("original"), "hello");
    await runCommand("mkfifo", [at("pipe")]);
    await link(at("original"), at("file"));
    let isOver = false;
    const swapping = (async () => {
      for (let turn = 0; !isOver; turn++) {
        await link(at(turn % 2 === 0 ? "pipe" : "original"), at("next"));
        await rename(at("next"), at("file"));
        // rename(2) does nothing when both are the same file.
        await rm(at("next"), { force: true });
      }
    })();
    const seen = new Set<string>();
    for (let round = 0; round < 20_000 && seen.size < 2; round++) seen.add(await refusalOf({ path: at("file") }));
    for (let round = 0; round < 300; round++) seen.add(await refusalOf({ path: at("file") }));
    isOver = true;
    await swapping;
    expect([...seen].sort()).toEqual([`${at("file")} is not a regular file: it is a pipe`, "it was opened"]);
  });
});

describe("a file within a directory", () => {
  test("may be reached through links that stay in it", async () => {
    await using directory = await temporaryDirectory();
    const within = await realpath(directory.path);
    await mkdir(join(within, "a"));
    await writeFile(join(within, "a/file"), "hello");
    await symlink("a/file", join(within, "relative"));
    await symlink(join(within, "a"), join(within, "absolute"));
    for (const name of ["a/file", "relative", "absolute/file"])
      expect(await regularFileSize({ path: join(within, name), within })).toBe(5);
  });

  test("is refused when a link leads elsewhere, in the same words whatever is there", async () => {
    await using directory = await temporaryDirectory();
    await using elsewhere = await temporaryDirectory();
    const within = await realpath(directory.path);
    await writeFile(join(elsewhere.path, "file"), "secret");
    // A directory whose name begins as the other's does is another directory.
    await mkdir(`${within}-too`);
    try {
      await writeFile(join(`${within}-too`, "file"), "secret");
      const path = join(within, "link");
      for (const target of [
        join(elsewhere.path, "file"),
        join(elsewhere.path, "nothing"),
        `../${within.slice(within.lastIndexOf("/") + 1)}-too/file`,
        "/dev/zero",
        "/proc/self/environ",
        "link",
      ]) {
        await symlink(target, path);
        const refusal = `${path} is not a regular file of ${within} but a link that leads elsewhere`;
        expect(await refusalOf({ path, within })).toStartWith(refusal);
        await rm(path);
      }
      await symlink(elsewhere.path, join(within, "directory"));
      expect(await refusalOf({ path: join(within, "directory/file"), within })).toContain("leads elsewhere");
    } finally {
      await rm(`${within}-too`, { recursive: true });
    }
  });
});
