// Room: test. Owns one open directory: the times it gets back, and what it asks the file system about itself.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOfText } from "../../../src/system/tree/bytes.ts";
import { must } from "../../../src/system/tree/calls.ts";
import { openDirectoryIn } from "../../../src/system/tree/tree.ts";
import { Directory } from "../../../src/unpack/apply/directory.ts";

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "snapmill-directory-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let path: string;
beforeEach(() => {
  path = join(scratch, crypto.randomUUID());
  mkdirSync(path);
  utimesSync(path, 10, 20);
});

const second = (seconds: number) => ({ seconds, nanoseconds: 0 });
const given = { atime: second(30), mtime: second(40) };

function open(): Directory {
  const name = bytesOfText(path);
  return new Directory(name, must(openDirectoryIn(-100, name), "open", name), false);
}

/** Its times once it has been changed, and has them back. */
function timesAfter(prepare: (directory: Directory) => void, settle: (directory: Directory) => void = () => undefined) {
  const directory = open();
  prepare(directory);
  writeFileSync(join(path, "new"), "");
  settle(directory);
  directory.restoreTimes();
  directory.close();
  const { atimeMs, mtimeMs } = statSync(path);
  return [atimeMs / 1000, mtimeMs / 1000];
}

test("a directory that is changed gets back the times that it had, or those of its entry", () => {
  expect(timesAfter((directory) => directory.willChange())).toEqual([10, 20]);
  expect(timesAfter((directory) => directory.setTimes(given))).toEqual([30, 40]);
});

test("times of an entry outlive all changes, those that are told of afterwards too", () => {
  const listed = (directory: Directory) => directory.setTimes(given);
  expect(timesAfter(listed, (directory) => directory.willChange())).toEqual([30, 40]);
  expect(timesAfter(listed, (directory) => directory.wasChanged({ atime: second(1), mtime: second(2) }))).toEqual([
    30, 40,
  ]);
});

test("a change that is told of afterwards brings the times with it", () => {
  const nothing = () => undefined;
  expect(timesAfter(nothing, (directory) => directory.wasChanged(given))).toEqual([30, 40]);
});

test("what new files inherit is what its entry says, or else what the file system does", () => {
  chmodSync(path, 0o2755);
  const [asked, told] = [open(), open()];
  expect([asked.setgid, asked.inheritsAcl]).toEqual([true, false]);
  told.setInherited(false, true);
  told.willChange();
  expect([told.setgid, told.inheritsAcl]).toEqual([false, true]);
  for (const directory of [asked, told]) directory.close();
});
