// Owns what every driver must do: one suite that any implementation of the port runs, over real devices and mounts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { describeCheckpoints } from "./driver-checkpoints.ts";
import { DriverFixture, type DriverTestPool } from "./driver-fixture.ts";
import { describeEnds, describeFullPool } from "./driver-mishaps.ts";
import { describeSnapshots } from "./driver-snapshots.ts";
import { describeVerbs } from "./driver-verbs.ts";

/** Runs the suite on a pool that `makeTestPool` makes: with room for 250 MiB of content, and not for 450. */
export function describeDriver(title: string, makeTestPool: () => Promise<DriverTestPool>): void {
  describe(title, () => {
    setDefaultTimeout(300_000);
    const fixture = new DriverFixture();
    beforeAll(() => fixture.open(makeTestPool));
    afterAll(() => fixture.close());
    describeSnapshots(fixture);
    describeCheckpoints(fixture);
    describeVerbs(fixture);
    describeEnds(fixture);
    describeFullPool(fixture);

    test("after all removals, the pool is as empty as at first", async () => {
      expect(await fixture.driver.list()).toEqual([]);
      expect(await fixture.driver.close()).toEqual({ stillInUse: [] });
      expect(await fixture.testPool.leftOnHost()).toEqual([]);
    });
  });
}
