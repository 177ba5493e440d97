// Owns the removals of devices as operators meet them: listed, waited for, retried, discarded, with the real program.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { deviceOf } from "../../src/metadata/snapshots.ts";
import { letGoOfOthers } from "../support/namespaces.ts";
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
  return (JSON.parse(stdout) as { findings: { kind: string; subject: string; sentence: string; heldBy: unknown }[] })
    .findings;
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

/** A process that runs the shell code, and then waits for the end of its input. */
async function holding(code: string, command: readonly string[] = []) {
  const child = Bun.spawn([...command, "sh", "-ec", `${code}; echo held; while read -r _; do :; done`], {
    stdin: "pipe",
  });
  const { value } = await child.stdout.getReader().read();
  expect(Buffer.from(value ?? []).toString()).toBe("held\n");
  return {
    pid: child.pid,
    end: async () => {
      await child.stdin.end();
      expect(await child.exited).toBe(0);
    },
  };
}

async function overHttp(what: string): Promise<unknown> {
  const { config } = fixture.snapmill;
  const token = readFileSync(paths.httpToken(config), "utf8").trim();
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`http://localhost/v1/pools/default/${what}`, { unix: paths.httpSocket(config), headers });
  expect(answer.status).toBe(200);
  return await answer.json();
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
  const those = ["removals", "retry", "--trouble", "the device is in use", "--state", "failed", "--find", "bus"];
  const { set } = JSON.parse(await fixture.stdout(...those, "--dry-run", "--json")) as { set: string };
  expect(await fixture.stdout(...those, "--if-set", set, "--dry-run")).toBe(`${device} would be tried at once\n`);
  expect(await fixture.failure(1, ...those, "--if-set", "of another time")).toContain("1 removal matches now");
  expect((await removals())[0]?.["state"]).toBe("failed");
  expect(await fixture.stdout("removals", "retry", "--matching", "no such reason")).toBe("no removal matches\n");
  umount(dir);
  expect(await fixture.stdout("removals", "retry", "busy")).toBe(`${device} is tried at once\n`);
  await until("it is removed", removals, ({ length }) => length === 0);
});

test("who holds a device is named in the list, over HTTP and by doctor, until the holder ends and the device goes", async () => {
  const [mounted, opened] = [await mountedSnapshot("in-container"), await mountedSnapshot("in-program")];
  const place = fixture.snapmill.directory;
  const unshare = ["unshare", "--mount", "--propagation", "private"];
  const inContainer = await holding(`${letGoOfOthers(place)} :`, unshare);
  const inProgram = await holding(
    `exec 3<${realpathSync(join(paths.devices(fixture.snapmill.config), opened.device))}`,
  );
  // The other mount namespace keeps both file systems; the second one is let go of there.
  expect(Bun.spawnSync(["nsenter", "-t", String(inContainer.pid), "-m", "umount", opened.dir]).exitCode).toBe(0);
  for (const { dir } of [mounted, opened]) umount(dir);
  for (const key of ["in-container", "in-program"]) await fixture.stdout("rm", key);
  for (const { device } of [mounted, opened]) await untilFailed(device);

  const byMount = {
    how: "mount",
    pid: inContainer.pid,
    command: expect.stringContaining("sh -ec"),
    startedAtMs: expect.any(Number),
    mountPoint: mounted.dir,
    mountNamespace: Number(/\d+/.exec(readlinkSync(`/proc/${inContainer.pid}/ns/mnt`))?.[0]),
    isOwnNamespace: false,
    device: null,
  };
  const byOpen = {
    how: "descriptor",
    pid: inProgram.pid,
    command: expect.stringContaining("exec 3<"),
    startedAtMs: expect.any(Number),
    mountPoint: null,
    mountNamespace: null,
    isOwnNamespace: null,
    device: null,
  };
  const named = [
    { device: mounted.device, heldBy: { holders: [byMount], more: 0, isComplete: true } },
    { device: opened.device, heldBy: { holders: [byOpen], more: 0, isComplete: true } },
  ];
  expect(await removals()).toMatchObject(named);
  expect((await overHttp("removals")) as never).toMatchObject({ items: named, next: null });
  const table = await fixture.stdout("removals");
  expect(table).toMatch(/^DEVICE .* HELD BY +REASON$/m);
  expect(table).toMatch(
    new RegExp(` mounted at ${mounted.dir} by process ${inContainer.pid} \\(sh .*, since 20.*\\) in another`),
  );
  expect(table).toMatch(new RegExp(` open in process ${inProgram.pid} \\(sh .*, since 20`));
  const found = (await findings()).toSorted((one, other) => one.subject.localeCompare(other.subject));
  expect(found).toMatchObject(
    named.map(({ device, heldBy }) => ({ kind: "removal-given-up", subject: device, heldBy })),
  );
  expect(found[0]?.sentence).toContain(`mounted at ${mounted.dir} by process ${inContainer.pid} (`);
  expect(found[1]?.sentence).toMatch(new RegExp(`open in process ${inProgram.pid} \\(.*; that is still so$`));

  await inProgram.end();
  const late = await holding(`exec 3<${realpathSync(join(paths.devices(fixture.snapmill.config), opened.device))}`);
  expect((await findings()).map(({ sentence }) => sentence)).toContainEqual(
    expect.stringMatching(new RegExp(`; now it is open in process ${late.pid} \\(sh `)),
  );
  await late.end();
  await inContainer.end();
  await until("nobody is named", removals, (all) => all.every(({ heldBy }) => heldBy?.holders.length === 0));
  expect(await fixture.stdout("removals")).toMatch(/ nobody +device /);
  expect((await findings())[0]?.sentence).toEndWith("; now nobody here holds it");
  await fixture.stdout("removals", "retry", "--all");
  await until("they are removed", removals, ({ length }) => length === 0);
  expect(await findings()).toEqual([]);
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
