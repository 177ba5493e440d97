// Room: test. Owns the choice of the library that inflates gzip: what is loaded is proved, and what is not says why.
import { describe, expect, test } from "bun:test";
import { chooseInflate } from "../../../src/system/inflate/choice.ts";
import { type IsalLibrary, loadFrom, loadIsal } from "../../../src/system/inflate/isal.ts";

const inert: IsalLibrary = { isal_inflate_init: () => undefined, isal_inflate: () => 0 };

describe("ISA-L", () => {
  test("is loaded and passes its self-test", () => {
    expect(loadIsal()).toMatchObject({ kind: "usable", version: expect.stringMatching(/^2\.\d+$/) });
  });

  test("that answers without inflating is unsuitable", () => {
    expect(loadFrom(["/lib/a.so"], () => inert)).toEqual({
      kind: "unsuitable",
      reason: expect.stringContaining("/lib/a.so is not used: its self-test failed"),
    });
  });

  test("that fails on a right member is unsuitable", () => {
    const failing = { ...inert, isal_inflate: () => -2 };
    expect(loadFrom(["/lib/a.so"], () => failing)).toMatchObject({
      kind: "unsuitable",
      reason: expect.stringContaining("invalid symbol"),
    });
  });

  test("that is nowhere is missing, and the package is named", () => {
    expect(loadFrom(["/nowhere/libisal.so.2", "no-such-library.so"])).toEqual({
      kind: "missing",
      reason: "libisal.so.2 is not installed (Debian's package libisal2)",
    });
  });

  test("is passed over where a file of that name is another library", () => {
    expect(loadFrom(["libc.so.6"])).toMatchObject({ kind: "missing" });
  });
});

describe("the choice", () => {
  test("auto and isal take ISA-L where it is usable", () => {
    for (const choice of ["auto", "isal"] as const) expect(chooseInflate(choice).library).toBe("ISA-L");
  });

  test("zlib takes node:zlib, and gives no reason", () => {
    expect(chooseInflate("zlib")).toEqual({
      library: "node:zlib",
      version: undefined,
      reason: undefined,
      inflater: undefined,
    });
  });

  test("auto falls back on node:zlib and says why, isal is refused", () => {
    const missing = () => loadFrom([]);
    expect(chooseInflate("auto", missing)).toMatchObject({
      library: "node:zlib",
      reason: expect.stringContaining("not installed"),
    });
    expect(() => chooseInflate("isal", missing)).toThrow("SNAPMILL_INFLATE=isal: libisal.so.2 is not installed");
  });
});
