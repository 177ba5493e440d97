// Tests which images a prune removes and in which order, and how many at a time.
import { expect, test } from "bun:test";
import { digest } from "../../src/domain/identifiers.ts";
import type { Image } from "../../src/metadata/images.ts";
import { firstCount, nextCount, type PruneRules, pruneCandidates } from "../../src/service/prune-plan.ts";

const nowMs = 1_000_000;

/** An image that was asked for `ageMs` ago. */
const image = (digit: string, ageMs: number, given: Partial<Image> = {}): Image =>
  ({
    manifestDigest: digest(`sha256:${digit.repeat(64)}`),
    platform: "linux/amd64",
    lastAskedAtMs: nowMs - ageMs,
    names: [{ reference: digit }],
    ...given,
  }) as unknown as Image;

const all = [
  image("1", 10),
  image("2", 40),
  image("3", 20, { names: [] }),
  image("4", 30),
  image("5", 50, { pinnedAtMs: 1 }),
  image("6", 5, { names: [] }),
  image("7", 60, { names: [], pinnedAtMs: 1 }),
  image("8", 70, { removedAtMs: 1 }),
];

test.each([
  ["no rule", {}, "3 6"],
  ["a rule that was not given", { keep: undefined }, "3 6"],
  ["any rule", { untilFreeShare: 0.2 }, "3 6 2 4 1"],
  ["an age", { olderThanMs: 30 }, "2 4"],
  ["an age of images without names", { olderThanMs: 20 }, "3 2 4"],
  ["some to keep, images without names not counted", { keep: 2 }, "3 6 2"],
  ["more to keep than there are", { keep: 9 }, "3 6"],
  ["two rules", { keep: 1, olderThanMs: 40 }, "2"],
] satisfies [string, PruneRules, string][])("%s", (_name, rules, expected) => {
  const candidates = pruneCandidates(all, rules, nowMs);
  expect(candidates.map(({ manifestDigest }) => manifestDigest.charAt(7)).join(" ")).toBe(expected);
});

test("as many go at a time as free what is missing, one at least, and ten at most", () => {
  const each = (count: number) => count * 100;
  expect(nextCount(20, 250, each)).toBe(3);
  expect(nextCount(20, 300, each)).toBe(3);
  expect(nextCount(20, 1, () => 5)).toBe(1);
  expect(nextCount(20, 5000, each)).toBe(10);
  expect(nextCount(2, 5000, each)).toBe(2);
  expect(nextCount(20, 1, () => 0)).toBe(10);
  expect(firstCount(8, (count) => count >= 8)).toBe(8);
  expect(firstCount(8, () => true)).toBe(0);
});
