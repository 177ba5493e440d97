// A random sample of the cases that `npm run test:faults` runs in full, and every case that has failed before.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dmControlNames } from "../../src/drivers/devicemapper/control/control.ts";
import { type FaultPoint, faultText } from "../../src/system/faults.ts";
import { chooseSome, randomOf, seedOf } from "../support/random.ts";
import { type FaultTest, faultTests } from "./fault-tests.ts";
import { FaultTestRunner, faultsOf } from "./runner.ts";

setDefaultTimeout(170_000);

const seed = seedOf(Bun.env["SNAPMILL_TEST_SEED"]);
console.log(`faults: seed ${seed} (SNAPMILL_TEST_SEED=${seed} repeats them)`);
const random = randomOf(seed);
const control = dmControlNames[seed % dmControlNames.length] ?? "dmsetup";

/** Cases that failed once, by the title of the fault test. */
const onceFailed: readonly (readonly [title: string, point: FaultPoint, occurrence: number])[] = [
  ["commit of what is mounted", "settle.committed", 1],
];

const faultTestOf = (title: string): FaultTest => {
  const faultTest = faultTests.find((candidate) => candidate.title === title);
  if (faultTest === undefined) throw new Error(`there is no fault test ${title}`);
  return faultTest;
};

describe(`a pool's worker that is killed (device-mapper by ${control})`, () => {
  const runner = new FaultTestRunner(control);
  afterAll(() => runner[Symbol.asyncDispose]());

  test.each(chooseSome(faultTests, 3, random).map((faultTest) => [faultTest.title, faultTest] as const))(
    `at some point of: %s (seed ${seed})`,
    async (_title, faultTest) => {
      const points = await runner.faultPoints(faultTest);
      expect(points).not.toBeEmpty();
      for (const fault of chooseSome(faultsOf(points), 1, random)) {
        console.log(`killed at ${faultText(fault)}`);
        await runner.runWithFault(faultTest, fault);
      }
    },
  );

  for (const [title, point, occurrence] of onceFailed) {
    test(`in ${title} at ${point}#${occurrence}, which failed once`, () =>
      runner.runWithFault(faultTestOf(title), { point, occurrence }));
  }
});
