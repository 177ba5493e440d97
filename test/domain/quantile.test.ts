import { describe, expect, test } from "bun:test";
import { quantileOf } from "../../src/domain/quantile.ts";

const buckets = (...counts: readonly number[]) =>
  [1, 2, 4, Number.POSITIVE_INFINITY].map((bound, index) => ({ bound, count: counts[index] ?? 0 }));

describe("of a histogram, 95 % are below", () => {
  test.each([
    ["a part of the first bucket", buckets(100, 100, 100, 100), 0.95],
    ["a part of a later bucket", buckets(90, 100, 100, 100), 1.5],
    ["the last bound, when they are above all", buckets(0, 0, 0, 100), 4],
  ])("%s", (_name, given, expected) => {
    expect(quantileOf(given, 0.95, 20)).toBeCloseTo(expected, 6);
  });

  test("nothing that could be said, when there are too few", () => {
    expect(quantileOf(buckets(10, 19, 19, 19), 0.95, 20)).toBeUndefined();
    expect(quantileOf([], 0.95, 0)).toBeUndefined();
  });
});
