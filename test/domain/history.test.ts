import { describe, expect, test } from "bun:test";
import { historyRings, placeIn, thinned, together } from "../../src/domain/history.ts";
import { aPoint } from "../support/history.ts";

describe("two points as one", () => {
  const one = aPoint({
    atMs: 0,
    samples: 3,
    spaceSamples: 3,
    dataUsedBytes: 100,
    dataTotalBytes: 1000,
    waitingJobs: 7,
    unpackedBytes: 5,
    failures: { "unpack internal": 1 },
  });
  const other = aPoint({
    atMs: 10_000,
    dataUsedBytes: 300,
    dataTotalBytes: 2000,
    waitingJobs: 2,
    unpackedBytes: 6,
    readySamples: 0,
    failures: { "unpack internal": 2, "prepare unavailable": 1 },
  });

  test("has the mean of what is used, the most of what waits, the sum of what happened, the last size", () => {
    expect(together(one, other)).toEqual({
      ...one,
      samples: 4,
      spaceSamples: 4,
      readySamples: 1,
      elapsedMs: 20_000,
      dataUsedBytes: 150,
      dataTotalBytes: 2000,
      waitingJobs: 7,
      unpackedBytes: 11,
      failures: { "unpack internal": 3, "prepare unavailable": 1 },
    });
  });

  test("knows what one of them knows, and does not take unknown for 0", () => {
    const unknown = aPoint({ atMs: 20_000 });
    expect(together(one, unknown)).toMatchObject({ dataUsedBytes: 100, spaceSamples: 3, waitingJobs: 7 });
    expect(together(unknown, { ...one, atMs: 30_000 })).toMatchObject({ dataUsedBytes: 100, waitingJobs: 7 });
    expect(together(together(one, unknown), other).dataUsedBytes).toBe(150);
    expect(together(unknown, unknown)).toMatchObject({ dataUsedBytes: null, snapshots: null, unpackedBytes: 0 });
  });
});

test("points are thinned to steps that begin at multiples of their length", () => {
  const points = [10, 20, 30, 40, 70].map((seconds) => aPoint({ atMs: seconds * 1000, unpackedLayers: 1 }));
  const shown = thinned(points, 30_000).map(({ atMs, unpackedLayers, samples }) => [atMs, unpackedLayers, samples]);
  expect(shown).toEqual([
    [0, 2, 2],
    [30_000, 2, 2],
    [60_000, 1, 1],
  ]);
});

test("a ring has one place for each step of its span, and then begins again", () => {
  const { stepMs, places } = historyRings.hour;
  const start = 1_800_000_000_000;
  const found = Array.from({ length: places }, (_, step) => placeIn("hour", start + step * stepMs).place);
  expect(new Set(found).size).toBe(places);
  expect(placeIn("hour", start + places * stepMs + 9_999)).toEqual({
    atMs: start + places * stepMs,
    place: placeIn("hour", start).place,
  });
});
