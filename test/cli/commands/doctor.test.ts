// `snapmill doctor`, `cleanup` and `status`, on pools that are really damaged: with a running snapmill and without one.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { paths, redisUrl } from "../../../src/config.ts";
import { ownScope, snapshotKey } from "../../../src/domain/identifiers.ts";
import { filesDir, imagePath } from "../../../src/drivers/reflink/layout.ts";
import { JobClient } from "../../../src/jobs/requests/client.ts";
import { openDatabase } from "../../../src/metadata/database.ts";
import { deviceOf } from "../../../src/metadata/snapshots.ts";
import { eventually } from "../../support/processes.ts";
import { loopsBackedBelow, mountsBelow } from "../../support/residue.ts";
import type { Started, Station } from "../../support/test-snapmill.ts";
import { Stage } from "../cli-fixture.ts";

setDefaultTimeout(120_000);

const report = z.object({
  pool: z.literal("default"),
  findings: z.array(
    z.strictObject({
      kind: z.string(),
      subject: z.string(),
      sentence: z.string(),
      wayOut: z.string(),
      repaired: z.boolean(),
    }),
  ),
});

/** What doctor finds; its exit status must say whether something is left. */
async function doctor({ station }: Stage, ...options: string[]) {
  const { exitCode, stdout, stderr } = await station.run(["doctor", "--json", ...options]);
  expect(stderr).toBe("");
  const { findings } = report.parse(JSON.parse(stdout));
  expect(exitCode).toBe(findings.some(({ repaired }) => !repaired) ? 1 : 0);
  return findings;
}

type Findings = Awaited<ReturnType<typeof doctor>>;
const found = (findings: Findings) =>
  findings.map(({ kind, subject, repaired }) => `${kind} ${subject} ${String(repaired)}`).toSorted();

function nameOf({ config }: Station, key: string): string {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  return deviceOf(database, ownScope, snapshotKey(key)).deviceName;
}

const linkOf = ({ config }: Station, name: string) => join(paths.devices(config), name);
const fileOf = ({ config }: Station, name: string) => join(filesDir(paths.poolDir(config)), `${name}.img`);
const attachedOf = ({ directory }: Station) => [...loopsBackedBelow(directory), ...mountsBelow(directory)];
const losetup = (...args: string[]) => expect(Bun.spawnSync(["losetup", ...args]).exitCode).toBe(0);

/** Stops the process (SIGSTOP) in which doctor looks at a pool that nothing runs on, while it has the pool attached. */
async function catchLooking(station: Station): Promise<{ readonly pid: number; readonly command: Started }> {
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const command = station.start(["doctor"]);
    const isOver = command.finished.then(() => true);
    while (!(await Promise.race([isOver, Bun.sleep(1)]))) {
      if (mountsBelow(station.directory).length === 0) continue;
      const [pid] = station.pidsOf("workers/doctor.ts");
      if (pid === undefined) break;
      process.kill(pid, "SIGSTOP");
      if (mountsBelow(station.directory).length > 0) return { pid, command };
      process.kill(pid, "SIGCONT");
      break;
    }
    await isOver;
  }
  throw new Error("doctor was never seen with the pool attached");
}

describe("doctor with a running snapmill", () => {
  const stage = new Stage({ SNAPMILL_ASYNC_REMOVE: "true", SNAPMILL_REMOVE_ATTEMPTS: "1" });
  const { station } = stage;
  beforeAll(() => stage.up());
  afterAll(() => stage[Symbol.asyncDispose]());

  test("names a stranger and a device that was taken off, changes nothing by looking, and repairs", async () => {
    for (const key of ["kept", "removed"]) await stage.stdout("prepare", key);
    expect(await stage.stdout("doctor")).toBe(`pool default in ${paths.poolDir(station.config)} is in order\n`);
    const [kept, removed] = [nameOf(station, "kept"), nameOf(station, "removed")];
    await stage.stdout("rm", "removed");
    expect(await eventually(() => !existsSync(fileOf(station, removed)))).toBe(true);
    copyFileSync(fileOf(station, kept), fileOf(station, removed));
    losetup("-d", readlinkSync(linkOf(station, kept)));
    const damage = [`device-without-record ${removed}`, `wrong-activation ${kept}`];
    for (const _look of [1, 2]) {
      expect(found(await doctor(stage))).toEqual(damage.map((text) => `${text} false`));
    }
    const { exitCode, stdout } = await stage.run("doctor");
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^2 things not in order in pool default\n/);
    expect(stdout).toContain(
      `device ${kept} is not active, so that "kept" (scope snapmill) cannot be mounted\n  repair`,
    );
    expect(found(await doctor(stage, "--repair"))).toEqual(damage.map((text) => `${text} true`));
    expect(await doctor(stage)).toEqual([]);
    expect(existsSync(fileOf(station, removed))).toBe(false);
    await stage.stdout("rm", "kept");
  });

  test("a removal that was given up is told by status, named by doctor, and done by cleanup", async () => {
    await stage.stdout("prepare", "busy");
    const busy = nameOf(station, "busy");
    const dir = join(station.directory, "mnt");
    mkdirSync(dir);
    await stage.stdout("mount", "busy", dir);
    await stage.stdout("rm", "busy");
    expect(await eventually(async () => (await stage.json("status"))[0]?.["failedRemovals"] === 1)).toBe(true);
    expect(await stage.stdout("status")).toMatch(/^Removals to do +1, 1 of them given up: /m);
    for (const options of [[], ["--repair"]]) {
      const [left, ...more] = await doctor(stage, ...options);
      expect(more).toEqual([]);
      expect(left).toMatchObject({ kind: "removal-given-up", subject: busy, repaired: false });
      expect(left?.sentence).toContain("is mounted or open");
    }
    const { pool } = station.config;
    await using client = await JobClient.connect({ redisUrl: redisUrl(station.config), pool });
    const [first] = await client.failedRemovals();
    expect(await stage.stdout("cleanup")).toContain(`${busy} is still to be removed`);
    const failedAgain = async () => {
      const [again] = await client.failedRemovals();
      return again !== undefined && again.failedAtMs !== first?.failedAtMs;
    };
    // Unmounted before that, it would be done without another word.
    expect(await eventually(failedAgain)).toBe(true);
    expect(Bun.spawnSync(["umount", dir]).exitCode).toBe(0);
    expect(await stage.json("cleanup")).toMatchObject([{ removedDevices: 1, pendingRemovals: 0 }]);
    expect(await doctor(stage)).toEqual([]);
  });
});

describe("doctor where nothing runs", () => {
  test("says that there is no pool yet", async () => {
    await using stage = new Stage();
    expect(await stage.failure(1, "doctor")).toContain("there is no pool here yet");
  });

  test("sees what a killed snapmill left, leaves it so, and takes it off when it is told to repair", async () => {
    await using stopped = new Stopped();
    const { stage } = stopped;
    const { station } = stage;
    const up = station.start(["up"]);
    expect(await eventually(async () => (await stage.json("status"))[0]?.redis?.failure === null, 60_000)).toBe(true);
    for (const key of ["half", "whole"]) await stage.stdout("prepare", key);
    const names = [nameOf(station, "half"), nameOf(station, "whole")];
    const [half = ""] = names;
    up.kill("SIGKILL");
    await up.finished;
    const attached = attachedOf(station);
    expect(attached.length).toBeGreaterThan(2);
    edit(station, `UPDATE devices SET state = 'suspending' WHERE number = ${half.replace(/.*-/, "")}`);
    const first = await doctor(stage);
    expect(first.map(({ kind }) => kind).filter((kind) => kind !== "left-attached")).toEqual(["stuck-state"]);
    expect(first.map(({ subject }) => subject)).toEqual(expect.arrayContaining(names));
    expect(await doctor(stage)).toEqual(first);
    expect(attachedOf(station)).toEqual(attached);

    const repaired = await doctor(stage, "--repair");
    expect(repaired.map(({ repaired: done }) => done)).toEqual(repaired.map(() => true));
    expect(attachedOf(station)).toEqual([]);
    expect(await doctor(stage)).toEqual([]);
  });

  test("interrupted by Ctrl-C, leaves the pool as it was found", async () => {
    await using stopped = new Stopped();
    const { stage } = stopped;
    await stage.up();
    await stage.stdout("prepare", "kept");
    await stage.down();
    const { pid, command } = await catchLooking(stage.station);
    // As a terminal does: all of its processes get it.
    command.kill("SIGINT");
    process.kill(pid, "SIGINT");
    process.kill(pid, "SIGCONT");
    expect(await command.finished).toMatchObject({ exitCode: 130, stdout: "" });
    expect(attachedOf(stage.station)).toEqual([]);
    expect(await doctor(stage)).toEqual([]);
  });

  test("names a snapshot whose content is gone, which it cannot bring back, and what keeps a pool from being opened", async () => {
    await using stopped = new Stopped();
    const { stage } = stopped;
    const { station } = stage;
    await stage.up();
    await stage.stdout("prepare", "lost");
    const lost = nameOf(station, "lost");
    rmSync(fileOf(station, lost));
    await stage.down();
    for (const options of [[], ["--repair"]]) {
      const [left, ...more] = await doctor(stage, ...options);
      expect(more).toEqual([]);
      expect(left).toMatchObject({ kind: "content-lost", subject: lost, repaired: false });
      expect(left?.wayOut).toContain("'snapmill rm --scope snapmill lost'");
    }
    const image = imagePath(paths.poolDir(station.config));
    if (existsSync(image)) {
      renameSync(image, `${image}.away`);
      rmSync(filesDir(paths.poolDir(station.config)), { recursive: true });
      expect(found(await doctor(stage, "--repair"))).toEqual(["pool-state default false"]);
      renameSync(`${image}.away`, image);
    }
  });
});

/** By another program than snapmill, so to say. */
function edit({ config }: Station, statement: string): void {
  using database = openDatabase(paths.database(config), { mode: "readwrite" });
  database.drizzle.run(statement);
}

/** A snapmill that does not run at the end of a test; its snapshots may stay. */
class Stopped implements AsyncDisposable {
  readonly stage = new Stage();

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stage.down();
    expect(attachedOf(this.stage.station)).toEqual([]);
    this.stage.station[Symbol.dispose]();
  }
}
