// Room: test. Owns back-off: pauses that double up to a cap, and their share of chance.
import { expect, test } from "bun:test";
import { pauseAfterMs, spreadPauseAfterMs } from "../../src/domain/backoff.ts";

const backoff = { firstMs: 100, capMs: 1_000 };

test("pauses double up to their cap, however many failures there are", () => {
  const failures = [1, 2, 3, 4, 5, 6, 5_000];
  expect(failures.map((count) => pauseAfterMs(backoff, count))).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000]);
});

test("chance makes a pause half as long at most", () => {
  expect([0, 0.5, 1].map((chance) => spreadPauseAfterMs(backoff, 2, chance))).toEqual([100, 150, 200]);
});
