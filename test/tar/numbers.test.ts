// Room: test. Owns the ways in which a tar archive writes numbers and times.
import { describe, expect, test } from "bun:test";
import { parseDecimal, parseInteger, parseNumber, parsePaxTime } from "../../src/tar/numbers.ts";

const text = (content: string) => Buffer.from(content, "latin1");
const numberIn = (field: Uint8Array) => parseNumber(field, 0, field.length, "size");

describe("a header's number", () => {
  const cases: readonly (readonly [string, Uint8Array, number])[] = [
    ["octal with a NUL", text("0000644\0"), 0o644],
    ["octal with a space", text("0000644 "), 0o644],
    ["octal with spaces before it", text("    644\0"), 0o644],
    ["octal that fills its field", text("77777777"), 0o77777777],
    ["octal with NUL and space", text("000644\0 "), 0o644],
    ["octal with rubbish behind its NUL", text("12\0zzzzz"), 0o12],
    ["a NUL before its digits", text("\x000012\0"), 0o12],
    ["all padding", text("\0 \0 \0\0\0\0"), 0],
    ["base-256", Buffer.from("80000000000000001234", "hex"), 0x1234],
    ["base-256 beyond 8 GiB", Buffer.from("800000000000000200000000", "hex"), 2 ** 33],
    ["base-256 minus one", Buffer.from("ffffffffffffffffffffffff", "hex"), -1],
    ["base-256 minus 256", Buffer.from("ffffffffffffffffffffff00", "hex"), -256],
    ["base-256, the largest safe", Buffer.from("80000000001fffffffffffff", "hex"), Number.MAX_SAFE_INTEGER],
  ];
  for (const [what, field, value] of cases) test(`${what} is ${value}`, () => expect(numberIn(field)).toBe(value));

  for (const field of [text("8\0"), text("12x4\0"), text("-1\0"), text("0x12\0"), text("1 2\0")]) {
    test(`${JSON.stringify(field.toString("latin1"))} is refused`, () => {
      expect(() => numberIn(field)).toThrow("not an octal number");
    });
  }

  test("base-256 beyond what is exact is refused", () => {
    expect(() => numberIn(Buffer.from("8000000000200000ffffffff", "hex"))).toThrow("out of range");
    expect(() => numberIn(Buffer.from("c00000000000000000000000", "hex"))).toThrow("out of range");
  });
});

describe("a PAX time", () => {
  const cases: readonly (readonly [string, number, number])[] = [
    ["0", 0, 0],
    ["1350244992", 1_350_244_992, 0],
    ["1350244992.023960108", 1_350_244_992, 23_960_108],
    ["1.5", 1, 500_000_000],
    ["1.", 1, 0],
    ["1.0000000009", 1, 0],
    ["1.9999999999", 1, 999_999_999],
    ["-1", -1, 0],
    ["-1.5", -2, 500_000_000],
    ["-0.000000001", -1, 999_999_999],
    ["-0.5", -1, 500_000_000],
    ["-0", 0, 0],
  ];
  for (const [time, seconds, nanoseconds] of cases) {
    test(`${time} is ${seconds} s and ${nanoseconds} ns`, () => {
      expect(parsePaxTime(time, "mtime")).toEqual({ seconds, nanoseconds });
    });
  }

  for (const time of ["", "x", "1e3", "1,5", "--1", "+1", " 1", "1.5x", ".5", "9".repeat(30)]) {
    test(`${JSON.stringify(time)} is refused`, () =>
      expect(() => parsePaxTime(time, "mtime")).toThrow("is not a time"));
  }
});

test("a decimal number is digits alone and exact", () => {
  expect(parseDecimal("9007199254740991", "size")).toBe(Number.MAX_SAFE_INTEGER);
  for (const bad of ["", "-1", "1.0", "0x1", " 1", "9007199254740992", "1".repeat(30)]) {
    expect(() => parseDecimal(bad, "size")).toThrow("is not a number");
  }
});

test("a whole number may be negative", () => {
  expect([parseInteger("-2", "uid"), parseInteger("7", "uid")]).toEqual([-2, 7]);
  for (const bad of ["--2", "-", "- 2", "+2"]) expect(() => parseInteger(bad, "uid")).toThrow("is not a number");
});
