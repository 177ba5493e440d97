import { describe, expect, test } from "bun:test";
import { formatDuration, formatSize, parseDuration, parsePercentage, parseSize } from "../../src/domain/units.ts";

describe("sizes", () => {
  test.each([
    ["10GB", 10 * 2 ** 30],
    ["512MiB", 512 * 2 ** 20],
    ["1.5g", 1.5 * 2 ** 30],
    ["4096", 4096],
    [" 20 GiB ", 20 * 2 ** 30],
    ["7b", 7],
    ["1k", 1024],
  ])("%p is understood", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(["", "GiB", "-1", "0", "10 XB", "1e3", "10GiBs", "99999999P"])("%p is refused by name", (text) => {
    expect(() => parseSize(text)).toThrow(JSON.stringify(text));
  });

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [20 * 2 ** 30, "20.0 GiB"],
    [300 * 2 ** 20, "300 MiB"],
  ])("%p reads as %p", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

test.each([
  [340.4, "340 ms"],
  [2100, "2.1 s"],
  [200_000, "3 min 20 s"],
])("a duration of %p ms reads as %p", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test("ages and shares are understood, and anything else is refused by name", () => {
  expect(["45s", "90m", "12h", "30d", "2w"].map(parseDuration)).toEqual([45e3, 54e5, 432e5, 2592e6, 12096e5]);
  expect(["1%", "20%", "7.5%"].map(parsePercentage)).toEqual([0.01, 0.2, 0.075]);
  for (const text of ["", "30", "d", "-1d", "1.5h", "30 d"])
    expect(() => parseDuration(text)).toThrow(JSON.stringify(text));
  for (const text of ["", "20", "0%", "0.5%", "100%", "%"]) {
    expect(() => parsePercentage(text)).toThrow(JSON.stringify(text));
  }
});
