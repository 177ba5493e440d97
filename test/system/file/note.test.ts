// Tests the note that outlives its process: readers find it whole or not at all, even on a full disk.
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openNote, readNote } from "../../../src/system/file/note.ts";
import { mountAt, unmount } from "../../../src/system/mount/mounts.ts";
import { temporaryDirectory } from "../../support/directories.ts";

setDefaultTimeout(30_000);

test("the last line that was written is read, whatever stood there before", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "note");
  expect(readNote(path)).toBeUndefined();
  {
    using note = openNote(path);
    expect(readNote(path)).toBeUndefined();
    note.write("a long line that comes first");
    note.write("short");
  }
  using next = openNote(path);
  expect(readNote(path)).toBe("short");
  await writeFile(path, "cut sho");
  expect(readNote(path)).toBeUndefined();
  next.remove();
  expect(readNote(path)).toBeUndefined();
});

test("on a disk without room nothing is noted, and nothing fails", async () => {
  await using directory = await temporaryDirectory();
  const full = join(directory.path, "full");
  await mkdir(full);
  await mountAt("none", full, "tmpfs", ["size=4k", "nr_inodes=2"]);
  try {
    await writeFile(join(full, "ballast"), "x".repeat(4096));
    using note = openNote(join(full, "note"));
    note.write("line");
    expect(readNote(join(full, "note"))).toBeUndefined();
  } finally {
    await unmount(full);
  }
});
