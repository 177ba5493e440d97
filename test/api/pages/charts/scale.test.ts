// Scales and axes: where values stand, and which are written there, however small, equal or huge they are.
import { describe, expect, test } from "bun:test";
import { linear, ticksFor, timeTicks } from "../../../../src/api/http/pages/charts/scale.ts";
import { bytesPerSecond, counted, percentInUse } from "../../../../src/api/http/pages/charts/units.ts";

describe("a linear scale", () => {
  test("goes from one end to the other, also downwards", () => {
    const y = linear([0, 100], [200, 0]);
    expect([y(0), y(25), y(100)]).toEqual([200, 150, 0]);
  });

  test("has the middle for a range that is one value", () => {
    expect(linear([7, 7], [0, 100])(7)).toBe(50);
  });
});

describe("the values on an axis", () => {
  const count = counted("jobs");

  test.each<[number, number[]]>([
    [0, [0, 1]],
    [1, [0, 1]],
    [3, [0, 1, 2, 3]],
    [7, [0, 5, 10]],
    [100, [0, 50, 100]],
    [101, [0, 50, 100, 150]],
    [5_000, [0, 2_000, 4_000, 6_000]],
  ])("up to %d are whole and round", (largest, ticks) => {
    expect(ticksFor(largest, count)).toEqual(ticks);
  });

  test("of bytes are round in powers of 1,024", () => {
    expect(ticksFor(3.1 * 2 ** 30, bytesPerSecond).map(bytesPerSecond.text)).toEqual([
      "0 B/s",
      "2.0 GiB/s",
      "4.0 GiB/s",
    ]);
    expect(ticksFor(700 * 2 ** 20, bytesPerSecond).map((value) => value / 2 ** 20)).toEqual([0, 256, 512, 768]);
  });

  test("of a share end at the whole, whatever there is", () => {
    expect(ticksFor(3, percentInUse)).toEqual([0, 50, 100]);
    expect(ticksFor(140, percentInUse)).toEqual([0, 50, 100]);
  });

  test.each([0, 1, 2.5, 999, 1e6, 2 ** 53, 1e18, Number.MAX_VALUE / 2])(
    "reach above %d, and are four at most",
    (largest) => {
      for (const unit of [count, bytesPerSecond, { ...count, isWhole: false }]) {
        const ticks = ticksFor(largest, unit);
        expect(ticks[0]).toBe(0);
        expect(ticks.at(-1)).toBeGreaterThanOrEqual(largest);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(5);
        expect(new Set(ticks).size).toBe(ticks.length);
      }
    },
  );

  test("take neither what is infinite nor what is below nothing", () => {
    expect(ticksFor(Number.POSITIVE_INFINITY, count)).toEqual([0, 1]);
    expect(ticksFor(Number.NaN, count)).toEqual([0, 1]);
    expect(ticksFor(-5, count)).toEqual([0, 1]);
  });
});

describe("the times on an axis", () => {
  const at = (text: string) => Date.parse(`${text}Z`);

  test.each([
    ["an hour", "2026-03-01T12:07:30", 3_600_000, ["12:15", "12:30", "12:45", "13:00"]],
    ["a day", "2026-03-01T12:07:30", 86_400_000, ["18:00", "00:00", "06:00", "12:00"]],
    ["three months", "2026-03-01T12:00:00", 90 * 86_400_000, ["03-08", "04-07", "05-07"]],
    ["a minute", "2026-03-01T12:00:30", 60_000, ["12:01"]],
  ] as const)("of %s are round", (_what, from, spanMs, texts) => {
    const ticks = timeTicks(at(from), at(from) + spanMs);
    expect(ticks.map(({ text }) => text)).toEqual([...texts]);
    expect(ticks.every(({ atMs }) => atMs >= at(from) && atMs <= at(from) + spanMs)).toBe(true);
  });

  test("of no time are one at most", () => {
    expect(timeTicks(at("2026-03-01T12:00:00"), at("2026-03-01T12:00:00")).length).toBeLessThanOrEqual(1);
    expect(timeTicks(at("2026-03-01T12:00:01"), at("2026-03-01T12:00:01"))).toEqual([]);
  });

  test("of many years are five at most", () => {
    expect(timeTicks(0, 100 * 365 * 86_400_000).length).toBe(5);
  });
});
