// Kills a pool's worker at every fault point of every operation, and prints the results. Needs device-mapper:
//
//   bun test/faults/run.ts [--control dmsetup|libdevmapper] [--points N [--seed S]] [WORD...]
//
// WORD: only operations whose titles contain one of the words. N: at most so many points of each operation, at random.
import { parseArgs } from "node:util";
import { dmControlNames } from "../../src/drivers/devicemapper/control/control.ts";
import { type FaultPoint, faultText } from "../../src/system/faults.ts";
import { chooseSome, randomOf, seedOf } from "../support/random.ts";
import { type FaultTest, faultTests } from "./fault-tests.ts";
import { FaultTestRunner, faultsOf, pointsNeverReached } from "./runner.ts";

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    control: { type: "string", default: "dmsetup" },
    points: { type: "string", default: "Infinity" },
    seed: { type: "string" },
  },
});
const control = dmControlNames.find((name) => name === values.control);
if (control === undefined) throw new Error(`--control is ${dmControlNames.join(" or ")}, not ${values.control}`);

const chosen = faultTests.filter(({ title }) => words.length === 0 || words.some((word) => title.includes(word)));
const reached = new Set<FaultPoint>();
const seed = seedOf(values.seed);
const random = randomOf(seed);
let passed = 0;
let failed = 0;

interface Row {
  readonly title: string;
  readonly cases: number;
  readonly recovered: number;
  readonly seconds: number;
}
const rows: Row[] = [];

const secondsSince = (startedMs: number): number => (performance.now() - startedMs) / 1000;

async function attempt(title: string, action: () => Promise<void>): Promise<boolean> {
  const startedMs = performance.now();
  try {
    await action();
    passed += 1;
    console.log(` ok  ${title} (${secondsSince(startedMs).toFixed(1)} s)`);
    return true;
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${title}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return false;
  }
}

async function runAll(runner: FaultTestRunner, faultTest: FaultTest): Promise<void> {
  const startedMs = performance.now();
  let points: FaultPoint[] = [];
  const isSound = await attempt(`${faultTest.title}, undisturbed`, async () => {
    points = await runner.faultPoints(faultTest);
  });
  if (isSound && points.length === 0) throw new Error(`${faultTest.title} passes no fault point`);
  for (const point of points) reached.add(point);
  let recovered = 0;
  const faults = chooseSome(faultsOf(points), Number(values.points), random);
  for (const fault of faults) {
    const title = `${faultTest.title}, killed at ${faultText(fault)}`;
    if (await attempt(title, () => runner.runWithFault(faultTest, fault))) recovered += 1;
  }
  rows.push({ title: faultTest.title, cases: faults.length, recovered, seconds: secondsSince(startedMs) });
}

{
  await using runner = new FaultTestRunner(control);
  const where = values.points === "Infinity" ? "at every point" : `at some points (--seed ${seed} repeats them)`;
  console.log(`workers killed ${where}, device-mapper by ${control}:`);
  for (const faultTest of chosen) await runAll(runner, faultTest);
}
const sumOf = (column: "cases" | "recovered" | "seconds"): number => rows.reduce((sum, row) => sum + row[column], 0);
const total: Row = {
  title: `${rows.length} operations, device-mapper by ${control}`,
  cases: sumOf("cases"),
  recovered: sumOf("recovered"),
  seconds: sumOf("seconds"),
};
const column = Math.max(...[...rows, total].map(({ title }) => title.length));
console.log(`\n${"operation".padEnd(column)}  points  recovered  seconds`);
for (const { title, cases, recovered, seconds } of [...rows, total]) {
  const cells = [String(cases).padStart(6), String(recovered).padStart(9), seconds.toFixed(0).padStart(7)];
  console.log([title.padEnd(column), ...cells].join("  "));
}
if (words.length === 0) {
  for (const point of pointsNeverReached(reached)) {
    failed += 1;
    console.log(`FAIL no operation reached ${point}: a fault test for it is missing in test/faults`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
