// Tests that paths which another user could have changed are refused, and that private paths are closed to other users.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readOwnFile } from "../../../src/system/file/own-files.ts";
import type * as privateDirectories from "../../../src/system/file/private-directories.ts";
import { makePrivateDirectory } from "../../../src/system/file/private-directories.ts";
import { requireUnshared } from "../../../src/system/file/shared-paths.ts";

const another = 65_534;
let top = "";
let umask = 0;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "snapmill-own-"));
  umask = process.umask(0);
});
afterEach(() => {
  process.umask(umask);
  rmSync(top, { recursive: true });
});

const below = (...names: string[]) => join(top, ...names);
const modeOf = (path: string) => lstatSync(path).mode & 0o7777;
const make = (path: string, mode: number): string => {
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
};
const yes = () => true;

describe("a private directory", () => {
  test.each([0o000, 0o022, 0o277])("is 0700 with the umask %o, and what is above it is not writable", (mask) => {
    process.umask(mask);
    expect(makePrivateDirectory(below("new/state"), yes)).toBe("private");
    expect(modeOf(below("new/state"))).toBe(0o700);
    expect(modeOf(below("new")) & 0o022).toBe(0);
  });

  test("that was open is closed, with all that is in it, once; what a link leads to stays as it is", () => {
    const [state, outside] = [make(below("state"), 0o755), below("outside")];
    make(join(state, "pools"), 0o755);
    for (const path of [outside, join(state, "pools/metadata.db"), join(state, "up.lock")]) writeFileSync(path, "");
    symlinkSync(outside, join(state, "link"));
    expect(makePrivateDirectory(state, yes)).toBe("closed");
    const modes = ["", "pools", "pools/metadata.db", "up.lock"].map((name) => modeOf(join(state, name)));
    expect(modes).toEqual([0o700, 0o700, 0o600, 0o600]);
    expect(modeOf(outside)).toBe(0o666);
    expect(makePrivateDirectory(state, yes)).toBe("private");
  });

  test("is not made of one that holds other things", () => {
    const home = make(below("home"), 0o755);
    expect(() => makePrivateDirectory(home, () => false)).toThrow("give snapmill a directory of its own");
    expect(modeOf(home)).toBe(0o755);
  });

  test.each<[string, () => string, string]>([
    ["that others can write to", () => make(below("state"), 0o777), "can be written to by other users"],
    ["that is sticky", () => make(below("state"), 0o1777), "can be written to by other users"],
    ["below one that others can write to", () => join(make(below("shared"), 0o777), "state"), "/shared can be written"],
    ["of another user", () => owned(make(below("state"), 0o700)), `belongs to user ${another}`],
    ["below one of another user", () => join(owned(make(below("home"), 0o755)), "state"), "/home belongs to user"],
    ["that is a link", () => link(make(below("real"), 0o700), below("state")), "is a link"],
    ["behind a link of another user", () => join(owned(link("/", below("way"))), "state"), "/way belongs to user"],
    ["behind a link to where others can write", () => join(link(make(below("s"), 0o777), below("way")), "x"), "/s can"],
    ["whose parent is a file", () => join(plainFile(below("file")), "state"), "/file is not a directory"],
  ])("%s is refused, and left as it is", (_what, prepare, reason) => {
    const path = prepare();
    const look = () => Bun.spawnSync(["stat", "--format=%a %F", path]).stdout.toString();
    const before = look();
    expect(() => makePrivateDirectory(path, yes)).toThrow(reason);
    expect(look()).toBe(before);
  });

  test("may lie in a sticky directory, as /tmp is, if it is ours there, and behind a link of ours", () => {
    const sticky = make(below("tmp"), 0o1777);
    expect(makePrivateDirectory(join(sticky, "state"), yes)).toBe("private");
    expect(makePrivateDirectory(join(link(sticky, below("way")), "state"), yes)).toBe("private");
    chownSync(join(sticky, "state"), another, another);
    expect(() => requireUnshared(join(sticky, "state"))).toThrow("belongs to user");
  });

  test("may lie where the user's own group writes, not where another group does", () => {
    const shared = make(below("group"), 0o775);
    expect(makePrivateDirectory(join(shared, "state"), yes)).toBe("private");
    chownSync(shared, 0, 100);
    expect(() => requireUnshared(join(shared, "state"))).toThrow("can be written to by other users");
  });

  test("may lie beside the program, wherever that lies: a user that can change one can change the other", async () => {
    const shared = make(below("builds"), 0o777);
    for (const room of ["system", "domain"]) {
      cpSync(join(import.meta.dir, "../../../src", room), join(shared, "checkout/src", room), { recursive: true });
    }
    const copy = (await import(
      join(shared, "checkout/src/system/file/private-directories.ts")
    )) as typeof privateDirectories;
    expect(copy.makePrivateDirectory(join(shared, "checkout/state"), yes)).toBe("private");
    expect(copy.makePrivateDirectory(join(shared, "state"), yes)).toBe("private");
    const other = make(below("other"), 0o777);
    expect(() => copy.makePrivateDirectory(join(other, "state"), yes)).toThrow("can be written to");
    expect(() => makePrivateDirectory(join(shared, "elsewhere"), yes)).toThrow("can be written to");
  });

  test("that this user may not make is refused by its name, with the way out", () => {
    expect(() => makePrivateDirectory("/sys/snapmill", () => true)).toThrow(
      /^\/sys\/snapmill cannot be made by this user \(\d+\): run this as root/,
    );
  });

  test("nothing is made where the way there is refused", () => {
    const shared = make(below("shared"), 0o777);
    expect(() => makePrivateDirectory(join(shared, "a/b/c"), yes)).toThrow("can be written to");
    expect(existsSync(join(shared, "a"))).toBe(false);
  });
});

describe("a file of ours", () => {
  const read = (readableByOthers: "refused" | "closed" | "allowed") => () =>
    readOwnFile(below("file"), { readableByOthers });

  test("that others can read is refused, closed or read, as is said", () => {
    writeFileSync(below("file"), "content");
    chmodSync(below("file"), 0o644);
    expect(read("refused")).toThrow("can be read by others");
    expect(read("allowed")()).toBe("content");
    expect(modeOf(below("file"))).toBe(0o644);
    expect(read("closed")()).toBe("content");
    expect(modeOf(below("file"))).toBe(0o600);
  });

  test.each<[string, () => void, string]>([
    ["a FIFO", () => void Bun.spawnSync(["mkfifo", below("file")]), "is not a regular file"],
    ["a directory", () => mkdirSync(below("file")), "is not a regular file"],
    ["a device", () => void Bun.spawnSync(["mknod", below("file"), "c", "1", "5"]), "is not a regular file"],
    ["a link", () => void link(plainFile(below("real")), below("file")), "is not a regular file"],
    ["a link to nothing", () => symlinkSync(below("none"), below("file")), "is not a regular file"],
    ["a file of another user", () => void owned(plainFile(below("file"))), `belongs to user ${another}`],
    ["a file that others can write to", () => chmodSync(plainFile(below("file")), 0o622), "written to by others"],
    ["a file of two names", () => linkSync(plainFile(below("real")), below("file")), "other names"],
  ])("is not %s", (_what, prepare, reason) => {
    prepare();
    for (const options of ["refused", "closed", "allowed"] as const) expect(read(options)).toThrow(reason);
  });
});

function owned(path: string): string {
  Bun.spawnSync(["chown", "-h", `${another}:${another}`, path]);
  expect(lstatSync(path).uid).toBe(another);
  return path;
}

function link(target: string, path: string): string {
  symlinkSync(target, path);
  return path;
}

function plainFile(path: string): string {
  writeFileSync(path, "", { mode: 0o600 });
  expect(statSync(path).isFile()).toBe(true);
  return path;
}
