// Room: test. Owns the system calls on a tree: bytes in names, what they answer, what they refuse to follow.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ByteString,
  byteString,
  bytesOf,
  bytesOfText,
  display,
  PathSlot,
} from "../../../src/system/tree/bytes.ts";
import { errnos, must } from "../../../src/system/tree/calls.ts";
import { setSize, syncFileSystem, writeAt } from "../../../src/system/tree/data.ts";
import { type ListedName, listPage, seekPage } from "../../../src/system/tree/listing.ts";
import { changeTimes, changeTimesIn, statusOf } from "../../../src/system/tree/metadata.ts";
import {
  closeDescriptor,
  createFile,
  deviceNumber,
  makeDirectory,
  makeLink,
  makeSymlink,
  openDirectoryBelow,
  openDirectoryIn,
  readLink,
  removeDirectory,
  removeFile,
} from "../../../src/system/tree/tree.ts";
import { hasXattr, listXattrs, removeXattr, setXattr } from "../../../src/system/tree/xattrs.ts";

let directory: string;
let root: number;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-tree-"));
  root = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
});
afterAll(async () => {
  closeSync(root);
  await rm(directory, { recursive: true, force: true });
});

const name = (text: string): ByteString => bytesOfText(text);

/** All that a directory lists from where its descriptor is. */
function listAll(descriptor: number): ListedName[] {
  const names: ListedName[] = [];
  for (let page = listPage(descriptor); page !== undefined; page = listPage(descriptor)) {
    if (typeof page === "number") throw new Error(`getdents64: ${page}`);
    names.push(...page.names);
  }
  return names;
}

/** Every byte that a name can have. */
const everyByte = byteString(
  Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1).filter((byte) => byte !== 0x2f)),
);

describe("names", () => {
  test("of any bytes go to the kernel and come back as they are", () => {
    expect(makeDirectory(root, name("bytes"), 0o755)).toBe(0);
    const into = openDirectoryIn(root, name("bytes"));
    closeDescriptor(must(createFile(into, everyByte, 0o600), "create", everyByte));
    expect(makeSymlink(into, name("link"), everyByte)).toBe(0);
    expect(readLink(into, name("link"))).toBe(everyByte);
    const listed = listAll(into);
    expect(listed.map((entry) => String(entry.name)).sort()).toEqual([String(everyByte), "link"].sort());
    closeDescriptor(into);
    const [first] = readdirSync(join(directory, "bytes"), { encoding: "buffer" }).filter((found) => found.length > 100);
    expect(Buffer.from(first ?? "").equals(bytesOf(everyByte))).toBe(true);
  });

  test("that are too long for a path are ENAMETOOLONG, never cut off", () => {
    const long = name("x".repeat(4096));
    expect(new PathSlot().put(long)).toBeUndefined();
    expect(makeDirectory(root, long, 0o755)).toBe(-errnos.ENAMETOOLONG);
    expect(openDirectoryBelow(root, name(`${"x/".repeat(2047)}x`))).toBe(-errnos.ENOENT);
    expect(openDirectoryBelow(root, long)).toBe(-errnos.ENAMETOOLONG);
  });

  test("are shown as UTF-8 where they are, quoted and shortened", () => {
    expect(display(name("ü\n"))).toBe('"ü\\n"');
    expect(display(name("x".repeat(5000))).length).toBeLessThan(300);
  });
});

describe("opening below a root", () => {
  test("follows no symbolic link and leaves the root by no name", () => {
    mkdirSync(join(directory, "in/deep"), { recursive: true });
    for (const [link, target] of [
      ["up", ".."],
      ["out", "/"],
      ["same", "deep"],
      ["kernel", "/proc/self/root"],
    ] as const) {
      symlinkSync(target, join(directory, "in", link));
      for (const path of [`in/${link}`, `in/${link}/tmp`]) {
        expect([-errnos.ELOOP, -errnos.ENOTDIR]).toContain(openDirectoryBelow(root, name(path)));
      }
      expect(openDirectoryIn(root, name(`in/${link}`))).toBe(-errnos.ENOTDIR);
    }
    const top = openDirectoryBelow(root, name("../../.."));
    expect(statSync(`/proc/self/fd/${top}`).ino).toBe(statSync(directory).ino);
    closeDescriptor(top);
  });

  test("answers for a missing directory and for a file as the kernel does", () => {
    writeFileSync(join(directory, "file"), "x");
    expect(openDirectoryBelow(root, name("missing"))).toBe(-errnos.ENOENT);
    expect(openDirectoryBelow(root, name("file"))).toBe(-errnos.ENOTDIR);
    expect(() => must(-errnos.ENOTDIR, "open", name("file"))).toThrow('open "file": ENOTDIR');
  });

  test("works after the engine has collected its garbage many times", () => {
    for (let round = 0; round < 20_000; round++) {
      const descriptor = openDirectoryBelow(root, name("in/deep"));
      if (descriptor < 0) throw new Error(`round ${round}: ${descriptor}`);
      closeDescriptor(descriptor);
      if (round % 4000 === 0) Bun.gc(true);
    }
    expect(openDirectoryBelow(root, name("in/missing"))).toBe(-errnos.ENOENT);
  });
});

describe("making and removing", () => {
  test("nothing is made over something that exists", () => {
    writeFileSync(join(directory, "taken"), "x");
    expect(createFile(root, name("taken"), 0o600)).toBe(-errnos.EEXIST);
    expect(makeDirectory(root, name("taken"), 0o755)).toBe(-errnos.EEXIST);
    expect(makeSymlink(root, name("taken"), name("t"))).toBe(-errnos.EEXIST);
    expect(makeLink(root, name("taken"), root, name("taken"))).toBe(-errnos.EEXIST);
    symlinkSync("nowhere", join(directory, "dangling"));
    expect(createFile(root, name("dangling"), 0o600)).toBe(-errnos.EEXIST);
  });

  test("a link to a symbolic link is a second name for it", () => {
    symlinkSync("file", join(directory, "original"));
    expect(makeLink(root, name("original"), root, name("second"))).toBe(0);
    expect(readLink(root, name("second"))).toBe(name("file"));
    expect(readLink(root, name("taken"))).toBe(-errnos.EINVAL);
  });

  test("files and directories are told apart when they are removed", () => {
    mkdirSync(join(directory, "full/inner"), { recursive: true });
    expect(removeFile(root, name("full"))).toBe(-errnos.EISDIR);
    expect(removeDirectory(root, name("full"))).toBe(-errnos.ENOTEMPTY);
    expect(removeDirectory(root, name("taken"))).toBe(-errnos.ENOTDIR);
    expect(removeFile(root, name("taken"))).toBe(0);
    expect(removeFile(root, name("taken"))).toBe(-errnos.ENOENT);
  });

  test("a directory of thousands is listed whole", () => {
    const many = join(directory, "many");
    mkdirSync(many);
    for (let index = 0; index < 3000; index++) writeFileSync(join(many, `name-${"n".repeat(40)}-${index}`), "");
    mkdirSync(join(many, "sub"));
    const descriptor = openDirectoryBelow(root, name("many"));
    const listed = listAll(descriptor);
    closeDescriptor(descriptor);
    expect(new Set(listed.map((entry) => entry.name)).size).toBe(3001);
    expect(listed.filter((entry) => entry.kind === "directory").map((entry) => String(entry.name))).toEqual(["sub"]);
  });

  test("a directory is listed on through another descriptor, also when all that was listed is gone", () => {
    const many = join(directory, "pages");
    mkdirSync(many);
    for (let index = 0; index < 2000; index++) writeFileSync(join(many, `name-${"n".repeat(40)}-${index}`), "");
    let descriptor = openDirectoryBelow(root, name("pages"));
    const seen: string[] = [];
    for (let page = listPage(descriptor); page !== undefined; page = listPage(descriptor)) {
      if (typeof page === "number") throw new Error(`getdents64: ${page}`);
      for (const entry of page.names) expect(removeFile(descriptor, entry.name)).toBe(0);
      seen.push(...page.names.map((entry) => entry.name));
      closeDescriptor(descriptor);
      descriptor = openDirectoryBelow(root, name("pages"));
      expect(seekPage(descriptor, page.next)).toBe(0);
    }
    closeDescriptor(descriptor);
    expect([seen.length, new Set(seen).size, readdirSync(many).length]).toEqual([2000, 2000, 0]);
  });
});

describe("metadata", () => {
  test("times are exact to the nanosecond, before 1970 and beyond 2038 too", () => {
    writeFileSync(join(directory, "times"), "");
    for (const seconds of [0, 1, -1, -2_000_000_000, 2 ** 31, 2 ** 32, 2 ** 33 + 5]) {
      const [atime, mtime] = [
        { seconds, nanoseconds: 1 },
        { seconds: seconds + 1, nanoseconds: 999_999_999 },
      ];
      expect(changeTimesIn(root, name("times"), atime, mtime)).toBe(0);
      const descriptor = openSync(join(directory, "times"), "r");
      expect(statusOf(descriptor, name("times"))).toMatchObject({ atime, mtime });
      expect(changeTimes(descriptor, mtime, atime)).toBe(0);
      expect(statusOf(descriptor, name("times"))).toMatchObject({ atime: mtime, mtime: atime });
      closeSync(descriptor);
    }
  });

  test("times of a symbolic link are its own", () => {
    symlinkSync("times", join(directory, "timed"));
    const then = { seconds: 5, nanoseconds: 6 };
    expect(changeTimesIn(root, name("timed"), then, then)).toBe(0);
    expect(statSync(join(directory, "times"), { bigint: true }).mtimeNs).not.toBe(5_000_000_006n);
  });

  test("attributes are set, listed and removed by descriptor and by name", () => {
    writeFileSync(join(directory, "attributes"), "");
    const descriptor = openSync(join(directory, "attributes"), "r");
    for (const subject of [{ descriptor }, { directory: root, name: name("attributes") }]) {
      expect(setXattr(subject, name("user.a"), Buffer.from([0, 1, 255]))).toBe(0);
      expect(setXattr(subject, name("user.empty"), new Uint8Array())).toBe(0);
      const listed = listXattrs(subject);
      if (typeof listed === "number") throw new Error(`listxattr: ${listed}`);
      expect(listed.map(String).sort()).toEqual(["user.a", "user.empty"]);
      expect(hasXattr(descriptor, name("user.a"))).toBe(true);
      expect(removeXattr(subject, name("user.a"))).toBe(0);
      expect(removeXattr(subject, name("user.a"))).toBe(-errnos.ENODATA);
      expect(hasXattr(descriptor, name("user.a"))).toBe(false);
      expect(removeXattr(subject, name("user.empty"))).toBe(0);
    }
    expect(setXattr({ descriptor }, name("unknown.space"), Buffer.from("x"))).toBe(-errnos.EOPNOTSUPP);
    closeSync(descriptor);
  });

  test("device numbers are the kernel's, or none", () => {
    expect(deviceNumber(1, 3)).toBe(0x103);
    expect(deviceNumber(4095, 1_048_575)).toBe(0xffff_ffff);
    expect(deviceNumber(259, 70_000)).toBe((112 | (259 << 8) | ((70_000 & 0xfff00) << 12)) >>> 0);
    for (const [major, minor] of [
      [4096, 0],
      [0, 1_048_576],
      [-1, 0],
      [0, -1],
    ] as const) {
      expect(deviceNumber(major, minor)).toBeUndefined();
    }
  });
});

describe("content", () => {
  test("is written where it belongs, also beyond 4 GiB, and leaves holes", () => {
    const descriptor = must(createFile(root, name("holes"), 0o600), "create", name("holes"));
    const chunk = Buffer.from("..content..");
    expect(writeAt(descriptor, chunk, 2, 9, 5 * 2 ** 30)).toBe(0);
    expect(writeAt(descriptor, chunk, 0, 2, 0)).toBe(0);
    expect(setSize(descriptor, 6 * 2 ** 30)).toBe(0);
    expect(syncFileSystem(root)).toBe(0);
    const status = statSync(join(directory, "holes"));
    expect(status.size).toBe(6 * 2 ** 30);
    expect(status.blocks * 512).toBeLessThan(2 ** 20);
    expect(setSize(descriptor, 3)).toBe(0);
    expect(readFileSync(join(directory, "holes"), "latin1")).toBe("..\0");
    closeDescriptor(descriptor);
  });

  test("that cannot be written is refused with the kernel's reason", () => {
    const readOnly = openSync(join(directory, "file"), "r");
    expect(writeAt(readOnly, Buffer.from("x"), 0, 1, 0)).toBe(-errnos.EBADF);
    closeSync(readOnly);
    const full = openSync("/dev/full", "w");
    expect(writeAt(full, Buffer.from("x"), 0, 1, 0)).toBe(-errnos.ENOSPC);
    closeSync(full);
  });
});
