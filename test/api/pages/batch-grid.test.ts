// A batch of several pools on one page, and its failures: by class, and as CSV.
import { expect, test } from "bun:test";
import { failureClasses, gridOf, type Item, type Share } from "../../../src/api/http/pages/batch-grid.ts";
import { type Batch, progressOf, timeLeft } from "../../../src/api/http/pages/batch-state.tsx";
import { csv } from "../../../src/api/http/pages/download.ts";
import { noItems } from "../../../src/domain/batches.ts";

const item = (reference: string, state: string, more: object = {}): Item =>
  ({ reference, platform: "linux/amd64", state, attempts: 1, position: 1, ...more }) as unknown as Item;
const share = (pool: string, ...items: readonly Item[]): Share => ({ pool, items, batch: {} as Batch });
const refused = { failure: { code: "unavailable", stage: "fetch", message: "no route" } };
const shares = [
  share("fast", item("a", "done"), item("b", "failed", refused)),
  share(
    "slow",
    item("b", "running"),
    item("c", "failed", { failure: { ...refused.failure, code: "not_found" } }),
    item("d", "failed", refused),
  ),
];

test("an image has one row, with what became of it in each pool", () => {
  const drawn = (state?: string) =>
    gridOf(shares, state).map(({ reference, items }) => [
      reference,
      items.get("fast")?.state,
      items.get("slow")?.state,
    ]);
  expect(drawn()).toEqual([
    ["a", "done", undefined],
    ["b", "failed", "running"],
    ["c", undefined, "failed"],
    ["d", undefined, "failed"],
  ]);
  expect(drawn("running")).toEqual([["b", "failed", "running"]]);
});

test("failures are counted by code and stage, the most frequent first", () => {
  expect(failureClasses(shares)).toEqual([
    { about: "unavailable, stage fetch", count: 2, example: "no route" },
    { about: "not found, stage fetch", count: 1, example: "no route" },
  ]);
});

test("the time left follows from the pace, and is not known before anything has ended", () => {
  const batch = (counts: object, state = "running") =>
    ({ state, counts: { ...noItems, ...counts }, createdAtMs: 0 }) as unknown as Batch;
  expect(timeLeft(batch({ pending: 30, done: 10 }), 600_000)).toBe("30 min");
  expect(timeLeft(batch({ pending: 30 }), 600_000)).toBeUndefined();
  expect(timeLeft(batch({ failed: 3 }, "failed"), 600_000)).toBeUndefined();
  expect(progressOf(batch({ pending: 2, running: 1, failed: 1, done: 3 }))).toBe("4 of 7 ended, 1 failed");
});

test("CSV quotes what it must, and no cell is a formula", () => {
  expect(
    csv([
      ["a", 1, 'say "hi", twice'],
      ["=1+1", "-", "two\nlines"],
    ]),
  ).toBe('a,1,"say ""hi"", twice"\r\n\'=1+1,\'-,"two\nlines"\r\n');
});
