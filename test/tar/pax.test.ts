// Room: test. Owns PAX records and the attributes in them.
import { describe, expect, test } from "bun:test";
import { parsePaxRecords, xattrsOf } from "../../src/tar/pax.ts";

const records = (text: string): Record<string, string> =>
  Object.fromEntries(parsePaxRecords(Buffer.from(text, "latin1")));
const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return `${length}${rest}`;
};

describe("records", () => {
  test("are split by their length, whatever they contain", () => {
    const value = "a=b\n99 not=a record\n\0\xff";
    expect(records(record("path", value) + record("mtime", "1.5"))).toEqual({ path: value, mtime: "1.5" });
  });

  test("replace earlier ones of the same key; an empty one is kept as empty", () => {
    expect(records(record("path", "a") + record("path", "b") + record("uid", ""))).toEqual({ path: "b", uid: "" });
  });

  test("of the oldest sparse format become one list", () => {
    const map = [
      ["0", "512"],
      ["4096", "10"],
    ].flatMap(([offset = "", length = ""]) => [
      record("GNU.sparse.offset", offset),
      record("GNU.sparse.numbytes", length),
    ]);
    expect(records(map.join(""))).toEqual({ "GNU.sparse.map": "0,512,4096,10" });
  });

  for (const bad of [
    "x path=a\n",
    "0 path=a\n",
    "100 path=a\n",
    "11 path=a\n",
    "10 path:aa\n",
    "7 =abc\n",
    " 10 path=a\n",
    "10",
    "-5 path=a\n",
    "1e1 path=a\n",
    `${"9".repeat(40)} path=a\n`,
    "5 a=b",
  ]) {
    test(`${JSON.stringify(bad)} is refused`, () => expect(() => records(bad)).toThrow("malformed"));
  }

  test("are at most ten thousand in a header", () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => record(`k${index}`, "")).join("");
    expect(parsePaxRecords(Buffer.from(many(10_000))).size).toBe(10_000);
    expect(() => records(many(10_001))).toThrow("more than 10000 PAX records");
  });

  test("of the oldest sparse format are at most as many as a sparse map may have parts", () => {
    const part = record("GNU.sparse.offset", "0") + record("GNU.sparse.numbytes", "0");
    expect(() => records(part.repeat(100_001))).toThrow("more than 100000 parts");
  });

  test("an empty header has none", () => expect(records("")).toEqual({}));
});

describe("extended attributes", () => {
  const xattrs = (text: string) =>
    [...xattrsOf(parsePaxRecords(Buffer.from(text, "latin1")))].map(([key, value]) => [
      String(key),
      Buffer.from(value).toString("latin1"),
    ]);

  test("of star's kind are binary, and may be empty", () => {
    const text =
      record("SCHILY.xattr.user.a", "\0\xff=\n") + record("SCHILY.xattr.user.empty", "") + record("SCHILY.dev", "1");
    expect(xattrs(text)).toEqual([
      ["user.a", "\0\xff=\n"],
      ["user.empty", ""],
    ]);
  });

  test("of star's kind have = and % in their names encoded, as GNU tar does", () => {
    expect(xattrs(record("SCHILY.xattr.user.a%3Db%25c", "x"))).toEqual([["user.a=b%c", "x"]]);
  });

  test("of star's kind keep a name that GNU tar cannot have encoded, as Go and libarchive wrote it", () => {
    for (const name of ["user.a%20b", "user.100%", "user.%3d", "user.%41%3D", "user.a b"]) {
      expect(xattrs(record(`SCHILY.xattr.${name}`, "x"))).toEqual([[name, "x"]]);
    }
  });

  test("of libarchive's kind are base64 under an encoded name; star's kind wins", () => {
    const text =
      record("SCHILY.xattr.user.both", "star") +
      record("LIBARCHIVE.xattr.user.both", "bGli") +
      record("LIBARCHIVE.xattr.user.%C3%BC", "AP8");
    expect(xattrs(text)).toEqual([
      ["user.both", "star"],
      ["user.\xc3\xbc", "\0\xff"],
    ]);
  });

  test("without a name, or with a NUL in it, are refused", () => {
    expect(() => xattrs(record("SCHILY.xattr.", "x"))).toThrow("no valid name");
    expect(() => xattrs(record("LIBARCHIVE.xattr.user%00x", "eA=="))).toThrow("no valid name");
  });
});
