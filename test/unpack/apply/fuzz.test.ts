// Room: test. Owns thousands of random layers from a seed: none leaves its root, crashes, or leaves a descriptor open.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { aborted, isSnapmillError } from "../../../src/domain/errors.ts";
import { describeTree, diffTrees, type Facts, type Tree } from "../../support/trees.ts";
import { applyTar, type Limits, makeScratch, type Scratch } from "../scratch.ts";
import { RandomLayers, seeded } from "./random-layers.ts";

setDefaultTimeout(10 * 60_000);

/** Set SNAPMILL_TEST_SEED to repeat a failure, SNAPMILL_TEST_CASES for more or fewer. */
const firstSeed = Number(Bun.env["SNAPMILL_TEST_SEED"] ?? Date.now() % 2 ** 31);
const cases = Number(Bun.env["SNAPMILL_TEST_CASES"] ?? 1000);

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

/** What became of the layers: "applied", or the failure in words. */
function outcomeOf(root: string, layers: readonly Buffer[], chunkBytes: number, limits: Limits): string {
  try {
    for (const layer of layers) applyTar(root, layer, { ...limits, chunkBytes });
    return "applied";
  } catch (error) {
    if (!isSnapmillError(error)) throw error;
    expect(["invalid_argument", "failed_precondition", "aborted"]).toContain(error.code);
    return `${error.code}: ${error.message}`;
  }
}

/** Without the times that depend on the clock: of directories that no entry lists, and of a file that was not finished. */
function timeless(root: string, outcome: string): Tree {
  const facts = ({ mtimeNs, ...others }: Facts): Facts =>
    outcome !== "applied" || others["type"] === "directory" ? others : { ...others, mtimeNs: String(mtimeNs) };
  return new Map([...describeTree(root)].map(([path, found]) => [path, facts(found)]));
}

/** Ends the layer at its entry number `entry`, as a full disk or a cancel does. */
function stopAt(entry: number): () => void {
  let seen = 0;
  return () => {
    if (seen++ === entry) throw aborted("stopped");
  };
}

function run(outer: string, seed: number): "applied" | "refused" {
  const random = new RandomLayers(seeded(seed));
  const layers = [random.layer(), random.layer()];
  const chunkBytes = 1 + random.below(2000);
  const stop = random.below(10) === 0 ? random.below(8) : undefined;
  const base = join(outer, "case");
  mkdirSync(join(base, "few"), { recursive: true });
  mkdirSync(join(base, "many"));
  const before = openDescriptors();
  const limits = (maxOpenDirectories: number): Limits => ({
    maxOpenDirectories,
    ...(stop !== undefined && { onWritten: stopAt(stop) }),
  });
  const outcome = outcomeOf(join(base, "few"), layers, chunkBytes, limits(2));
  expect(openDescriptors()).toBe(before);
  // With hundreds of directories open the same comes of it.
  expect(outcomeOf(join(base, "many"), layers, 65_536, limits(256))).toBe(outcome);
  const [few, many] = [timeless(join(base, "few"), outcome), timeless(join(base, "many"), outcome)];
  expect(diffTrees(many, few)).toEqual([]);
  expect(readdirSync(base).sort()).toEqual(["few", "many"]);
  rmSync(base, { recursive: true });
  return outcome === "applied" ? "applied" : "refused";
}

test(`${cases} layers from seed ${firstSeed} on`, async () => {
  const outer = await scratch.root();
  const victim = join(outer, "victim");
  mkdirSync(victim);
  writeFileSync(join(victim, "f"), "f");
  const before = describeTree(victim);
  const outcomes = { applied: 0, refused: 0 };
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    try {
      outcomes[run(outer, seed)]++;
    } catch (error) {
      throw new Error(`SNAPMILL_TEST_SEED=${seed} SNAPMILL_TEST_CASES=1: ${String(error)}`, { cause: error });
    }
  }
  expect(diffTrees(before, describeTree(victim))).toEqual([]);
  expect(readdirSync(outer)).toEqual(["victim"]);
  // Neither all nonsense nor all harmless.
  if (cases >= 1000) expect(Math.min(outcomes.applied, outcomes.refused)).toBeGreaterThan(cases / 20);
});
