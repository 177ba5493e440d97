// Owns the removals of devices as operators meet them: listed, waited for, retried, discarded, with the real program.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { deviceOf } from "../../src/metadata/snapshots.ts";
import { until } from "../support/until.ts";
import { CliFixture } from "./cli-fixture.ts";

setDefaultTimeout(300_000);

const fixture = new CliFixture({
  SNAPMILL_ASYNC_REMOVE: "true",
  SNAPMILL_REMOVE_ATTEMPTS: "3",
  SNAPMILL_REMOVE_FIRST_PAUSE: "100ms",
  SNAPMILL_REMOVE_LONGEST_PAUSE: "200ms",
});
beforeAll(() => fixture.up());
afterAll(() => fixture[Symbol.asyncDispose]());

const removals = () => fixture.json("removals");
const findings = async () => {
  const { stdout } = await fixture.run("doctor", "--json");
  return (JSON.parse(stdout) as { findings: { kind: string; subject: string; sentence: string }[] }).findings;
};
const umount = (dir: string) => expect(Bun.spawnSync(["umount", dir]).exitCode).toBe(0);

/** A snapshot that is mounted. */
async function mountedSnapshot(key: string): Promise<{ readonly device: string; readonly dir: string }> {
  await fixture.stdout("prepare", key);
  const dir = join(fixture.snapmill.directory, key);
  mkdirSync(dir);
  await fixture.stdout("mount", key, dir);
  using database = openDatabase(paths.database(fixture.snapmill.config), { mode: "readonly" });
  return { device: deviceOf(database, ownScope, snapshotKey(key)).deviceName, dir };
}

const untilFailed = (device: string) =>
  until("the removal is given up", removals, (all) =>
    all.some((each) => each["device"] === device && each["state"] === "failed"),
  );

test("a removal that fails is listed with all that is known of it, and retried when it is asked for", async () => {
  const { device, dir } = await mountedSnapshot("busy");
  await fixture.stdout("rm", "busy");
  await untilFailed(device);
  const [removal, ...more] = await removals();
  expect(more).toEqual([]);
  expect(removal).toMatchObject({ device, state: "failed", scope: "snapmill", key: "busy", attempts: 3 });
  expect(removal).toMatchObject({ nextTryAtMs: null, discardedAtMs: null });
  expect(removal?.["lastError"]).toContain("is in use");
  expect(Number(removal?.["bytes"])).toBeGreaterThan(0);
  expect(Number(removal?.["failingSinceMs"])).toBeLessThanOrEqual(Number(removal?.["lastFailedAtMs"]));
  expect(await fixture.stdout("removals")).toMatch(new RegExp(`\n${device} +busy +failed +.* 3 +- +.* is in use`));
  expect((await fixture.json("status"))[0]?.metadata).toMatchObject({ pendingRemovals: 1, failedRemovals: 1 });

  expect(await fixture.stdout("removals", "retry", "--matching", "mounted", "--dry-run")).toBe(
    `${device} would be tried at once\n`,
  );
  expect((await removals())[0]?.["state"]).toBe("failed");
  expect(await fixture.stdout("removals", "retry", "--matching", "no such reason")).toBe("no removal matches\n");
  umount(dir);
  expect(await fixture.stdout("removals", "retry", "busy")).toBe(`${device} is tried at once\n`);
  await until("it is removed", removals, ({ length }) => length === 0);
});

test("a name that is of no removal, or no choice at all, is a failure that says the way out", async () => {
  expect(await fixture.failure(1, "removals", "retry", "nothing")).toContain("'snapmill removals' lists");
  expect(await fixture.failure(1, "removals", "retry")).toContain("say which removals");
  expect(await fixture.failure(2, "removals", "discard", "nothing")).toContain("--reason");
});

test("a removal that was discarded is not tried by anything until it is retried, and is never out of sight", async () => {
  const { device, dir } = await mountedSnapshot("evidence");
  await fixture.stdout("rm", "evidence");
  await untilFailed(device);
  expect(await fixture.stdout("removals", "discard", device, "--reason", "ticket 4711")).toBe(
    `${device} stays in the pool\n`,
  );
  umount(dir);
  expect(await fixture.stdout("cleanup")).toContain("removed 0 devices");
  await fixture.run("doctor", "--repair");
  await fixture.down();
  await fixture.up();
  await until(
    "the restarted snapmill answers",
    () => fixture.run("cleanup"),
    ({ exitCode }) => exitCode === 0,
  );
  expect(await removals()).toMatchObject([{ device, state: "discarded", discardReason: "ticket 4711" }]);
  expect(await findings()).toMatchObject([{ kind: "removal-discarded", subject: device }]);
  expect(await fixture.stdout("status")).toMatch(/^Removals to do +0, 1 discarded: see 'snapmill removals'$/m);
  expect(await fixture.stdout("removals", "retry", "--all")).toBe("no removal matches\n");
  expect(await fixture.stdout("removals", "retry", device)).toBe(`${device} is tried at once\n`);
  await until("it is removed", removals, ({ length }) => length === 0);
  expect(await findings()).toEqual([]);
});

test("rm --wait returns when the device is gone, or its removal was given up", async () => {
  const idle = await mountedSnapshot("idle");
  umount(idle.dir);
  await fixture.stdout("rm", "--wait", "idle");
  expect(await removals()).toEqual([]);
  const { device, dir } = await mountedSnapshot("held");
  expect(await fixture.failure(1, "rm", "--wait", "held")).toContain(
    `is removed, but the removal of its device was given up: device ${device} cannot be removed yet`,
  );
  umount(dir);
  await fixture.stdout("cleanup");
  await until("it is removed", removals, ({ length }) => length === 0);
});
