import { describe, expect, test } from "bun:test";
import { type Fill, trendOf } from "../../src/domain/trend.ts";
import { randomOf } from "../support/random.ts";

const nowMs = 1_800_000_000_000;
const gibibyte = 2 ** 30;
const totalBytes = 100 * gibibyte;
const hour = 360;

/** A sample every ten seconds until now; `used` gets how many seconds before now. */
const series = (samples: number, used: (agoS: number) => number): Fill[] =>
  Array.from({ length: samples }, (_, index) => {
    const agoS = (samples - 1 - index) * 10;
    return { atMs: nowMs - agoS * 1000, usedBytes: used(agoS), totalBytes };
  });
const leftS = (fills: readonly Fill[]): number | undefined => {
  const trend = trendOf(fills, nowMs);
  return trend && (trend.fullAtMs - nowMs) / 1000;
};

describe("a pool that fills", () => {
  test("evenly is full when the line says", () => {
    const rate = gibibyte / 600;
    const fills = series(hour, (agoS) => 50 * gibibyte - agoS * rate);
    expect(leftS(fills)).toBeCloseTo((50 * gibibyte) / rate, 0);
    expect(trendOf(fills, nowMs)?.bytesPerSecond).toBeCloseTo(rate, 0);
    expect(trendOf(fills, nowMs)?.fit).toBeCloseTo(1, 6);
  });

  test("in steps and with noise is full at about the same time", () => {
    const random = randomOf(1);
    const rate = gibibyte / 600;
    const fills = series(hour, (agoS) => {
      const steady = 50 * gibibyte - Math.floor(agoS / 300) * 300 * rate;
      return steady + (random() - 0.5) * 0.2 * gibibyte;
    });
    const expected = (50 * gibibyte) / rate;
    expect(leftS(fills)).toBeGreaterThan(0.85 * expected);
    expect(leftS(fills)).toBeLessThan(1.15 * expected);
  });

  test("since ten minutes only has a trend, of the last quarter of an hour", () => {
    const fills = series(hour, (agoS) => 20 * gibibyte + Math.max(0, 600 - agoS) * 0.1 * gibibyte);
    expect(leftS(fills)).toBeGreaterThan(100);
    expect(leftS(fills)).toBeLessThan(1_200);
  });

  test("and is full already is full now", () => {
    expect(leftS(series(hour, (agoS) => totalBytes - agoS * 1000))).toBe(undefined);
    const fills = series(hour, (agoS) => Math.min(totalBytes, totalBytes + gibibyte - (agoS * gibibyte) / 600));
    expect(leftS(fills)).toBe(0);
  });
});

describe("nothing is said of a pool", () => {
  /** Full a quarter of an hour ago; then a quarter of it was freed, within a minute. */
  const madeSpace = (agoS: number) =>
    totalBytes * Math.min(0.3 + Math.max(0, 3000 - agoS) / 3000, 0.75 + Math.max(0, agoS - 840) / 240);
  const random = randomOf(2);
  test.each([
    ["of which nothing is known", []],
    ["that stays as it is", series(hour, () => gibibyte)],
    ["that was filled, and has been as full since somebody made space", series(hour, (agoS) => madeSpace(agoS))],
    ["that empties", series(hour, (agoS) => gibibyte + agoS * 2 ** 20)],
    ["that goes up and down", series(hour, (agoS) => 50 * gibibyte + 10 * gibibyte * Math.sin(agoS / 50))],
    ["that has noise only", series(hour, () => 50 * gibibyte + random() * gibibyte)],
    ["that has grown by a few blocks", series(hour, (agoS) => gibibyte - agoS * 1000)],
    ["with a minute of samples", series(6, (agoS) => 50 * gibibyte - agoS * 2 ** 24)],
    ["that was emptied after it had grown", series(hour, (agoS) => (agoS > 60 ? 90 * gibibyte - agoS * 2 ** 24 : 0))],
  ])("%s", (_name, fills) => {
    expect(trendOf(fills, nowMs)).toBeUndefined();
  });

  test("by samples of a future that the clock has left again, or that are older than an hour", () => {
    const rising = series(hour, (agoS) => 50 * gibibyte - agoS * 2 ** 24);
    expect(trendOf(rising, nowMs)).toBeDefined();
    expect(trendOf(rising, nowMs - 7_200_000)).toBeUndefined();
    expect(trendOf(rising, nowMs + 7_200_000)).toBeUndefined();
  });
});
