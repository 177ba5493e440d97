// Tests that a lost thin-pool is not silently created again, and that a restored one works as before.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, realpath, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LostPool } from "../../src/drivers/port.ts";
import { Client, openFixture } from "../conformance/snapshotter-fixture.ts";
import { loopsBackedBelow } from "../support/residue.ts";
import { thinTestPool } from "./thin-test-pool.ts";

setDefaultTimeout(120_000);
const testPool = thinTestPool("libdevmapper");
let directory: string;
let pool: string;
let away: string;

beforeAll(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), "snapmill-thin-loss-")));
  [pool, away] = [join(directory, "pool"), join(directory, "away")];
  await using fixture = await openFixture(testPool, { directory });
  await new Client(fixture, "loss").layer("kept", undefined);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function expectLost(saying: string): Promise<void> {
  const failure: unknown = await openFixture(testPool, { directory }).then(
    () => "it was opened",
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(LostPool);
  expect((failure as LostPool).message).toContain(saying);
  expect(loopsBackedBelow(`${directory}/`)).toEqual([]);
}

async function expectKept(): Promise<void> {
  await using fixture = await openFixture(testPool, { directory });
  expect(fixture.recovered).toEqual([]);
  expect(await new Client(fixture, "loss").seen("kept", () => "seen")).toBe("seen");
}

test("that is not there is not made anew", async () => {
  await rename(pool, away);
  await expectLost("thin-pool.json is not there");
  expect(existsSync(pool)).toBe(false);
  await rename(away, pool);
  await rename(join(pool, "data.img"), away);
  await expectLost("data.img is not there");
  await rename(away, join(pool, "data.img"));
  await expectKept();
});

test("whose data were replaced is not taken for what it was", async () => {
  const data = join(pool, "data.img");
  await rename(data, away);
  await writeFile(data, "");
  await truncate(data, (await stat(away)).size);
  await expectLost("nothing of what was written to its devices is there");
  await rename(away, data);
  await expectKept();
});

test("in whose place a new one lies is not taken for it, nor taken over", async () => {
  await rename(pool, away);
  const driver = testPool.connectDriver(directory, 256 * 2 ** 20);
  await driver.open();
  await driver.close();
  await expectLost("does not hold any of the 2 devices");
  await rm(pool, { recursive: true });
  await rename(away, pool);
  await expectKept();
});
