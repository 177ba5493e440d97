// Tests `snapmill doctor`, `cleanup` and `status` on damaged pools, with and without a running snapmill.
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
import { loopsBackedBelow, mountsBelow } from "../../support/residue.ts";
import type { Started, TestSnapmill } from "../../support/test-snapmill.ts";
import { until } from "../../support/until.ts";
import { CliFixture } from "../cli-fixture.ts";

setDefaultTimeout(120_000);

const report = z.object({
  pool: z.literal("default"),
  findings: z.array(
    z.strictObject({
      id: z.string().regex(/^[0-9a-f]{12}$/),
      kind: z.string(),
      subject: z.string(),
      sentence: z.string(),
      wayOut: z.string(),
      repairable: z.boolean(),
      repaired: z.boolean(),
      heldBy: z.object({ holders: z.array(z.looseObject({ how: z.string() })) }).nullable(),
    }),
  ),
});

/** The findings of doctor; its exit status must say whether some are left. */
async function doctor({ snapmill }: CliFixture, ...options: string[]) {
  const { exitCode, stdout, stderr } = await snapmill.run(["doctor", "--json", ...options]);
  expect(stderr).toBe("");
  const { findings } = report.parse(JSON.parse(stdout));
  expect(exitCode).toBe(findings.some(({ repaired }) => !repaired) ? 1 : 0);
  return findings;
}

type Findings = Awaited<ReturnType<typeof doctor>>;
const found = (findings: Findings) =>
  findings.map(({ kind, subject, repaired }) => `${kind} ${subject} ${String(repaired)}`).toSorted();

function nameOf({ config }: TestSnapmill, key: string): string {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  return deviceOf(database, ownScope, snapshotKey(key)).deviceName;
}

const linkOf = ({ config }: TestSnapmill, name: string) => join(paths.devices(config), name);
const fileOf = ({ config }: TestSnapmill, name: string) => join(filesDir(paths.poolDir(config)), `${name}.img`);
const attachedOf = ({ directory }: TestSnapmill) => [...loopsBackedBelow(directory), ...mountsBelow(directory)];
const losetup = (...args: string[]) => expect(Bun.spawnSync(["losetup", ...args]).exitCode).toBe(0);

/** Stops (SIGSTOP) the process in which doctor inspects an idle pool, while it has the pool attached. */
async function catchLooking(snapmill: TestSnapmill): Promise<{ readonly pid: number; readonly command: Started }> {
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const command = snapmill.start(["doctor"]);
    const isOver = command.finished.then(() => true);
    while (!(await Promise.race([isOver, Bun.sleep(1)]))) {
      if (mountsBelow(snapmill.directory).length === 0) continue;
      const [pid] = snapmill.pidsOf("workers/doctor.ts");
      if (pid === undefined) break;
      process.kill(pid, "SIGSTOP");
      if (mountsBelow(snapmill.directory).length > 0) return { pid, command };
      process.kill(pid, "SIGCONT");
      break;
    }
    await isOver;
  }
  throw new Error("doctor was never seen with the pool attached");
}

describe("doctor with a running snapmill", () => {
  const fixture = new CliFixture({ SNAPMILL_ASYNC_REMOVE: "true", SNAPMILL_REMOVE_ATTEMPTS: "1" });
  const { snapmill } = fixture;
  beforeAll(() => fixture.up());
  afterAll(() => fixture[Symbol.asyncDispose]());

  test("names a foreign device and a detached one, changes nothing without --repair, and repairs with it", async () => {
    for (const key of ["kept", "removed"]) await fixture.stdout("prepare", key);
    expect(await fixture.stdout("doctor")).toBe(`pool default in ${paths.poolDir(snapmill.config)} is in order\n`);
    const [kept, removed] = [nameOf(snapmill, "kept"), nameOf(snapmill, "removed")];
    await fixture.stdout("rm", "removed");
    await until("its file is gone", () => !existsSync(fileOf(snapmill, removed)));
    copyFileSync(fileOf(snapmill, kept), fileOf(snapmill, removed));
    losetup("-d", readlinkSync(linkOf(snapmill, kept)));
    const [foreign, inactive] = [`device-without-record ${removed}`, `wrong-activation ${kept}`];
    for (const _look of [1, 2]) {
      expect(found(await doctor(fixture))).toEqual([`${foreign} false`, `${inactive} false`]);
    }
    const { exitCode, stdout } = await fixture.run("doctor");
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^2 things not in order in pool default\n/);
    expect(stdout).toContain(
      `device ${kept} is not active, so that "kept" (scope snapmill) cannot be mounted\n  repair`,
    );
    const id = (await doctor(fixture)).find(({ subject }) => subject === removed)?.id ?? "";
    expect(stdout).toContain(`\n  alone: --repair --only ${id}\n`);
    expect(found(await doctor(fixture, "--repair", "--only", id))).toEqual([`${foreign} true`, `${inactive} false`]);
    expect(existsSync(fileOf(snapmill, removed))).toBe(false);
    expect((await fixture.run("doctor", "--repair", "--only", id)).stdout).toStartWith(
      `finding ${id} is not found any more\n1 thing not in order`,
    );
    expect(await fixture.failure(1, "doctor", "--only", id)).toContain("ask for 'repair' as well");
    expect(found(await doctor(fixture, "--repair"))).toEqual([`${inactive} true`]);
    expect(await doctor(fixture)).toEqual([]);
    await fixture.stdout("rm", "kept");
  });

  test("a removal that was given up is shown by status, named by doctor, and done by cleanup", async () => {
    await fixture.stdout("prepare", "busy");
    const busy = nameOf(snapmill, "busy");
    const dir = join(snapmill.directory, "mnt");
    mkdirSync(dir);
    await fixture.stdout("mount", "busy", dir);
    await fixture.stdout("rm", "busy");
    await until(
      "the removal is given up",
      () => fixture.json("status"),
      ([status]) => status?.metadata?.["failedRemovals"] === 1,
    );
    expect(await fixture.stdout("status")).toMatch(/^Removals to do +1, 1 of them given up: /m);
    for (const options of [[], ["--repair"]]) {
      const [left, ...more] = await doctor(fixture, ...options);
      expect(more).toEqual([]);
      expect(left).toMatchObject({ kind: "removal-given-up", subject: busy, repaired: false });
      expect(left?.sentence).toContain("is in use");
    }
    const { pool } = snapmill.config;
    await using client = await JobClient.connect({ redisUrl: redisUrl(snapmill.config), pool });
    const [first] = await client.failedRemovals();
    expect(await fixture.stdout("cleanup")).toContain(`${busy} could not be removed yet`);
    // Unmounted before that, the removal would succeed without another failure.
    await until(
      "the removal has failed again",
      () => client.failedRemovals(),
      ([again]) => again !== undefined && again.failedAtMs !== first?.failedAtMs,
    );
    expect(Bun.spawnSync(["umount", dir]).exitCode).toBe(0);
    expect(await fixture.json("cleanup")).toMatchObject([{ removedDevices: 1, pendingRemovals: 0 }]);
    expect(await doctor(fixture)).toEqual([]);
  });
});

describe("doctor where nothing runs", () => {
  test("says that there is no pool yet", async () => {
    await using fixture = new CliFixture();
    expect(await fixture.failure(1, "doctor")).toContain("there is no pool here yet");
  });

  test.each([
    ["as a whole", false],
    ["together, when one of it is chosen", true],
  ])(
    "finds what a killed snapmill left, leaves it alone, and takes it off with --repair %s",
    async (_how, isChosen) => {
      await using stopped = new Stopped();
      const { fixture } = stopped;
      const { snapmill } = fixture;
      const up = snapmill.start(["up"]);
      await until(
        "Redis answers",
        () => fixture.json("status"),
        ([status]) => status?.redis?.failure === null,
        60_000,
      );
      for (const key of ["half", "whole"]) await fixture.stdout("prepare", key);
      const names = [nameOf(snapmill, "half"), nameOf(snapmill, "whole")];
      const [half = ""] = names;
      up.kill("SIGKILL");
      await up.finished;
      const attached = attachedOf(snapmill);
      expect(attached.length).toBeGreaterThan(2);
      edit(snapmill, `UPDATE devices SET state = 'suspending' WHERE number = ${half.replace(/.*-/, "")}`);
      const first = await doctor(fixture);
      expect(first.map(({ kind }) => kind).filter((kind) => kind !== "left-attached")).toEqual(["stuck-state"]);
      expect(first.map(({ subject }) => subject)).toEqual(expect.arrayContaining(names));
      expect(await doctor(fixture)).toEqual(first);
      expect(attachedOf(snapmill)).toEqual(attached);

      const stuck = first.find(({ kind }) => kind === "stuck-state")?.id ?? "";
      const chosen = await doctor(fixture, "--repair", "--only", stuck);
      expect(chosen.filter(({ repaired: done }) => done).map(({ id }) => id)).toEqual([stuck]);
      expect(attachedOf(snapmill)).toEqual(attached);

      const one = first.find(({ kind }) => kind === "left-attached")?.id ?? "";
      const repaired = await doctor(fixture, "--repair", ...(isChosen ? ["--only", one] : []));
      expect(repaired.map(({ repaired: done }) => done)).toEqual(repaired.map(() => true));
      expect(attachedOf(snapmill)).toEqual([]);
      expect(await doctor(fixture)).toEqual([]);
    },
  );

  test("interrupted by Ctrl-C, leaves the pool as it was found", async () => {
    await using stopped = new Stopped();
    const { fixture } = stopped;
    await fixture.up();
    await fixture.stdout("prepare", "kept");
    await fixture.down();
    const { pid, command } = await catchLooking(fixture.snapmill);
    // As a terminal does: to all of its processes.
    command.kill("SIGINT");
    process.kill(pid, "SIGINT");
    process.kill(pid, "SIGCONT");
    expect(await command.finished).toMatchObject({ exitCode: 130, stdout: "" });
    expect(attachedOf(fixture.snapmill)).toEqual([]);
    expect(await doctor(fixture)).toEqual([]);
  });

  test("names a snapshot whose content is gone, which it cannot bring back, and what keeps a pool from being opened", async () => {
    await using stopped = new Stopped();
    const { fixture } = stopped;
    const { snapmill } = fixture;
    await fixture.up();
    await fixture.stdout("prepare", "lost");
    const lost = nameOf(snapmill, "lost");
    rmSync(fileOf(snapmill, lost));
    await fixture.down();
    for (const options of [[], ["--repair"]]) {
      const [left, ...more] = await doctor(fixture, ...options);
      expect(more).toEqual([]);
      expect(left).toMatchObject({ kind: "content-lost", subject: lost, repaired: false });
      expect(left?.wayOut).toContain("'snapmill rm --scope snapmill lost'");
    }
    const image = imagePath(paths.poolDir(snapmill.config));
    if (existsSync(image)) {
      renameSync(image, `${image}.away`);
      rmSync(filesDir(paths.poolDir(snapmill.config)), { recursive: true });
      expect(found(await doctor(fixture, "--repair"))).toEqual(["pool-state default false"]);
      renameSync(`${image}.away`, image);
    }
  });
});

/** As another program than snapmill would. */
function edit({ config }: TestSnapmill, statement: string): void {
  using database = openDatabase(paths.database(config), { mode: "readwrite" });
  database.drizzle.run(statement);
}

/** A snapmill that is stopped at the end of a test; its snapshots may stay. */
class Stopped implements AsyncDisposable {
  readonly fixture = new CliFixture();

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fixture.down();
    expect(attachedOf(this.fixture.snapmill)).toEqual([]);
    this.fixture.snapmill[Symbol.dispose]();
  }
}
