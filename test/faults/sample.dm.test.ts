// A few of the cases that `npm run test:faults` plays in full: other ones at every run, and every one that ever failed.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dmControlNames } from "../../src/drivers/devicemapper/control/control.ts";
import { type FaultPoint, faultText } from "../../src/system/faults.ts";
import { type Play, plays } from "./fault-tests.ts";
import { chooseSome, randomOf, seedOf } from "./random.ts";
import { faultsOf, Season } from "./runner.ts";

setDefaultTimeout(170_000);

const seed = seedOf(Bun.env["SNAPMILL_TEST_SEED"]);
console.log(`faults: seed ${seed} (SNAPMILL_TEST_SEED=${seed} repeats them)`);
const random = randomOf(seed);
const control = dmControlNames[seed % dmControlNames.length] ?? "dmsetup";

/** Cases that failed once, by the play's title. */
const onceFailed: readonly (readonly [title: string, point: FaultPoint, occurrence: number])[] = [
  ["commit of what is mounted", "settle.committed", 1],
];

const playOf = (title: string): Play => {
  const play = plays.find((candidate) => candidate.title === title);
  if (play === undefined) throw new Error(`there is no play ${title}`);
  return play;
};

describe(`a pool's worker that is killed (device-mapper by ${control})`, () => {
  const season = new Season(control);
  afterAll(() => season[Symbol.asyncDispose]());

  test.each(chooseSome(plays, 3, random).map((play) => [play.title, play] as const))(
    `at some point of: %s (seed ${seed})`,
    async (_title, play) => {
      const points = await season.rehearse(play);
      expect(points).not.toBeEmpty();
      for (const fault of chooseSome(faultsOf(points), 1, random)) {
        console.log(`killed at ${faultText(fault)}`);
        await season.perform(play, fault);
      }
    },
  );

  for (const [title, point, occurrence] of onceFailed) {
    test(`in ${title} at ${point}#${occurrence}, which failed once`, () =>
      season.perform(playOf(title), { point, occurrence }));
  }
});
