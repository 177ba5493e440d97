// Owns what every driver must do: one suite that any implementation of the port runs, over real devices and mounts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type DriverGround, DriverStage } from "./driver-fixture.ts";
import { describeEnds, describeFullPool } from "./driver-mishaps.ts";
import { describeSnapshots } from "./driver-snapshots.ts";
import { describeVerbs } from "./driver-verbs.ts";

/** Runs the suite on a pool that `makeGround` makes: with room for 250 MiB of content, and not for 450. */
export function describeDriver(title: string, makeGround: () => Promise<DriverGround>): void {
  describe(title, () => {
    setDefaultTimeout(300_000);
    const stage = new DriverStage();
    beforeAll(() => stage.open(makeGround));
    afterAll(() => stage.close());
    describeSnapshots(stage);
    describeVerbs(stage);
    describeEnds(stage);
    describeFullPool(stage);

    test("all devices gone, the pool is as empty as at first", async () => {
      expect(await stage.driver.list()).toEqual([]);
      expect(await stage.driver.close()).toEqual({ stillInUse: [] });
      expect(await stage.ground.leftOnHost()).toEqual([]);
    });
  });
}
