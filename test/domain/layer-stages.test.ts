import { expect, test } from "bun:test";
import { packStages, type StageTime, unpackStages } from "../../src/domain/layer-stages.ts";

const times: readonly StageTime[] = [
  { stage: "wait", startMs: 1_800_000_000_100, endMs: 1_800_000_000_150, spentMs: 50 },
  { stage: "fetch", startMs: 1_800_000_000_160, endMs: null, spentMs: null },
  { stage: "inflate", startMs: 1_800_000_000_150, endMs: 1_800_000_000_900, spentMs: 300 },
];

test("stages come out of a progress report as they went in, in the order in which they begin", () => {
  expect(unpackStages(packStages(times.toReversed()))).toEqual([...times]);
  expect(packStages([])).toBeUndefined();
  expect(unpackStages(undefined)).toEqual([]);
});

test("a report of them is small", () => {
  const packed = packStages([...times, ...times.map((each) => ({ ...each, stage: "write" as const }))]);
  expect(JSON.stringify(packed).length).toBeLessThan(150);
});
