import { expect, test } from "bun:test";
import {
  formatFields,
  formatLabels,
  formatRate,
  formatShare,
  formatTable,
  formatTime,
  plural,
  printable,
  shortDigests,
} from "../../../src/cli/output/format.ts";

const hex = "0123456789abcdef".repeat(4);

test("columns line up, numbers at the right, without trailing spaces", () => {
  const columns = [{ title: "NAME" }, { title: "SIZE", align: "right" }, { title: "NOTE" }] as const;
  const lines = formatTable(columns, [
    ["a", "7", ""],
    ["longer", "1024", "x"],
  ]);
  expect(lines).toEqual(["NAME    SIZE  NOTE", "a          7", "longer  1024  x"]);
});

test("a wide character takes two columns", () => {
  const lines = formatTable(
    [{ title: "N" }, { title: "K" }],
    [
      ["層", "a"],
      ["ab", "b"],
    ],
  );
  expect(lines).toEqual(["N   K", "層  a", "ab  b"]);
});

test("a table without rows is its titles", () => {
  expect(formatTable([{ title: "A" }, { title: "B" }], [])).toEqual(["A  B"]);
});

test("fields line up, and what is undefined is left out", () => {
  expect(
    formatFields([
      ["Name", "x"],
      ["Parent", undefined],
      ["Kind", "view"],
    ]),
  ).toEqual(["Name    x", "Kind    view"]);
});

test("control characters are written out", () => {
  expect(printable("a\u001b[31mb\nc\u2028d")).toBe("a\\u001b[31mb\\u000ac\\u2028d");
});

test("digests are cut to twelve digits, wherever they are in a text; other text stays", () => {
  expect(shortDigests(`sha256:${hex}`)).toBe("sha256:0123456789ab");
  expect(shortDigests(`unpack/sha256:${hex}/1`)).toBe("unpack/sha256:0123456789ab/1");
  expect(shortDigests("sha256:0123")).toBe("sha256:0123");
  expect(shortDigests("build")).toBe("build");
});

test("times are local, to the second", () => {
  expect(formatTime(new Date(2026, 0, 5, 7, 8, 9, 999).getTime())).toBe("2026-01-05 07:08:09");
});

test("labels are sorted by name", () => {
  expect(formatLabels({ b: "2", a: "1=x" })).toBe("a=1=x, b=2");
  expect(formatLabels({})).toBe("");
});

test.each([
  [118_000_000, 1000, "118 MB/s"],
  [5_000_000, 2000, "2.5 MB/s"],
  [0, 0, "0.0 MB/s"],
])("%d bytes in %d ms are %s", (bytes, ms, text) => {
  expect(formatRate(bytes, ms)).toBe(text);
});

test("a share names both sizes and the percentage", () => {
  expect(formatShare(512, 2048)).toBe("512 B of 2.0 KiB (25 %)");
  expect(formatShare(0, 0)).toBe("0 B of 0 B (0 %)");
});

test.each([
  [1, "1 layer"],
  [0, "0 layers"],
  [12, "12 layers"],
])("%d gives %s", (count, text) => {
  expect(plural(count, "layer")).toBe(text);
});
