// What of a series is one line, and which marks are one.
import { describe, expect, test } from "bun:test";
import { groupMarks, kindsIn } from "../../../../src/api/http/pages/charts/mark-groups.ts";
import { extentOf, runsOf } from "../../../../src/api/http/pages/charts/runs.ts";

const points = (values: readonly (number | null)[], stepMs = 10) =>
  values.map((value, index) => ({ atMs: index * stepMs, value }));
const valuesOf = (runs: ReturnType<typeof runsOf>) => runs.map((run) => run.map(({ value }) => value));

describe("runs", () => {
  test("are one without gaps, and end where nothing is known", () => {
    expect(valuesOf(runsOf(points([1, 2, 3]), 10))).toEqual([[1, 2, 3]]);
    expect(valuesOf(runsOf(points([1, null, 3, 4, null]), 10))).toEqual([[1], [3, 4]]);
    expect(valuesOf(runsOf(points([null, Number.NaN, Number.POSITIVE_INFINITY]), 10))).toEqual([]);
    expect(runsOf([], 10)).toEqual([]);
  });

  test("end where a step is left out, not where one is late", () => {
    const at = (...times: number[]) => times.map((atMs) => ({ atMs, value: atMs }));
    expect(valuesOf(runsOf(at(0, 10, 24, 40), 10))).toEqual([[0, 10, 24], [40]]);
  });
});

describe("the extent", () => {
  test("is of what is known", () => {
    expect(extentOf(points([null, 5, -2, null]))).toEqual({
      least: -2,
      most: 5,
      first: { atMs: 10, value: 5 },
      last: { atMs: 20, value: -2 },
    });
    expect(extentOf(points([null]))).toBeUndefined();
    expect(extentOf([])).toBeUndefined();
  });
});

describe("marks", () => {
  const mark = (atMs: number, kind = "unpack") => ({ atMs, kind });

  test("that would lie on each other are one, numbered in the order of time", () => {
    const groups = groupMarks([mark(50), mark(0), mark(9), mark(10, "grow")], 10);
    expect(groups.map(({ number, atMs, marks }) => [number, atMs, marks.length])).toEqual([
      [1, 0, 2],
      [2, 10, 1],
      [3, 50, 1],
    ]);
  });

  test("do not join without end: each is near the first of its group", () => {
    expect(
      groupMarks(
        [0, 6, 12, 18].map((atMs) => mark(atMs)),
        10,
      ).map(({ marks }) => marks.length),
    ).toEqual([2, 2]);
  });

  test("say what was done, and how often", () => {
    const [several, one] = groupMarks([mark(0), mark(1, "grow"), mark(2), mark(90, "drain")], 10);
    expect([several && kindsIn(several), one && kindsIn(one)]).toEqual(["2 × unpack, 1 × grow", "drain"]);
  });
});
