// Owns what every snapshotter must survive: a kill at each fault point, a full pool, a reboot.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync, writeSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freshOperationId, scope, snapshotKey } from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { deviceOf, deviceUnder } from "../../src/metadata/snapshots.ts";
import { type FaultPoint, faultPoints } from "../../src/system/faults.ts";
import { inconsistencies } from "./consistency.ts";
import { runUntilKilled } from "./killed-operation.ts";
import { Client, codeOf, mounted, openFixture, type SnapshotterFixture, type TestPool } from "./snapshotter-fixture.ts";

const mebibyte = 2 ** 20;

const verbs = ["prepare", "commit", "checkpoint", "remove"] as const;
type Verb = (typeof verbs)[number];

/** Only reached with a snapshot larger than its parent, or a commit of one in use: covered by test/faults. */
const detours: readonly FaultPoint[] = ["prepare.grown", "commit.copying"];

/** Every verb at every point that it passes. */
const deaths = verbs.flatMap((verb) =>
  faultPoints
    .filter((point) => point.startsWith(`${verb}.`) || point === "settle.committed")
    .filter((point) => !detours.includes(point))
    .map((point): [Verb, FaultPoint] => [verb, point]),
);

/** Runs the suite; `testPoolModule` is the path of a module that exports `testPool`, for a child process to import. */
export function describeCrashes(title: string, testPool: TestPool, testPoolModule: string): void {
  describe(title, () => {
    setDefaultTimeout(300_000);
    let directory: string;
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "snapmill-crashes-"));
      await using fixture = await openFixture(testPool, { directory });
      await new Client(fixture, "crashes").layer("base", undefined, (root) =>
        writeFileSync(join(root, "file"), "kept"),
      );
    });
    afterAll(() => rm(directory, { recursive: true, force: true }));

    test.each(deaths)(
      "killed in %s at %s, it recovers, and the same operation has its effect once",
      async (verb, point) => {
        const killed = { directory, testPoolModule, point, verb, operationId: freshOperationId() };
        const request = await withFixture(testPool, directory, (fixture) =>
          setUp(new Client(fixture, "crashes"), verb),
        );
        expect(await runUntilKilled({ ...killed, request })).toBe("SIGKILL");
        await withFixture(testPool, directory, async (fixture) => {
          expect(await inconsistencies(fixture)).toEqual([]);
          await perform(fixture, verb, killed.operationId, request);
          await expectDone(new Client(fixture, "crashes"), verb);
          expect(await inconsistencies(fixture)).toEqual([]);
          await perform(fixture, verb, killed.operationId, request);
          await tearDown(new Client(fixture, "crashes"), verb);
          expect(await inconsistencies(fixture)).toEqual([]);
        });
      },
    );

    test("killed while it removes something that is then mounted, it keeps what is in use", async () => {
      await keepsWhatIsInUse(testPool, testPoolModule, directory);
    });
  });
}

/** Runs the suite for failures without a kill. */
export function describeMisfortunes(title: string, testPool: TestPool): void {
  describe(title, () => {
    setDefaultTimeout(300_000);
    let directory: string;
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "snapmill-misfortunes-"));
    });
    afterAll(() => rm(directory, { recursive: true, force: true }));

    test("after a reboot, active snapshots are active again", async () => {
      await withFixture(testPool, directory, async (fixture) => {
        await new Client(fixture, "reboot").prepare("active");
      });
      // Closing the pool deactivates everything, as a reboot does, without the knowledge of the database.
      await withFixture(testPool, directory, async (fixture) => {
        const client = new Client(fixture, "reboot");
        expect(fixture.recovered.join()).toContain("activated again");
        await mounted(client.mounts("active"), (root) => writeFileSync(join(root, "x"), "x"));
        await client.remove("active");
        expect(await inconsistencies(fixture)).toEqual([]);
      });
    });

    test("content that vanished from the pool makes its snapshot faulty, until it is removed", async () => {
      await losesContent(testPool, directory);
    });

    test("a full pool fails commit and prepare with resource_exhausted, and works again with room made", async () => {
      const small = await mkdtemp(join(tmpdir(), "snapmill-full-"));
      try {
        await fillsUp(testPool, small);
      } finally {
        await rm(small, { recursive: true, force: true });
      }
    });
  });
}

async function withFixture<T>(
  testPool: TestPool,
  directory: string,
  body: (fixture: SnapshotterFixture) => Promise<T>,
): Promise<T> {
  await using fixture = await openFixture(testPool, { directory });
  return await body(fixture);
}

/** What the verb needs; returns its request. */
async function setUp(client: Client, verb: Verb): Promise<object> {
  switch (verb) {
    case "prepare":
      return client.request("made", "base", { of: "crashes" });
    case "commit":
    case "checkpoint":
      await client.prepare("active", "base");
      await mounted(client.mounts("active"), (root) => writeFileSync(join(root, "new"), "new"));
      return { ...client.request("active"), name: snapshotKey("made") };
    case "remove":
      await client.prepare("doomed", "base");
      return { scope: client.scope, key: snapshotKey("doomed") };
  }
}

async function expectDone(client: Client, verb: Verb): Promise<void> {
  const readAll = (root: string) => readFileSync(join(root, "file"), "utf8");
  const readNew = (root: string) => readFileSync(join(root, "new"), "utf8");
  switch (verb) {
    case "prepare":
      expect(client.walk()).toEqual(["base", "made"]);
      expect(client.stat("made").labels).toMatchObject({ of: "crashes" });
      expect(await mounted(client.mounts("made"), readAll)).toBe("kept");
      break;
    case "commit":
      expect(client.walk()).toEqual(["base", "made"]);
      expect(await client.seen("made", readNew)).toBe("new");
      break;
    case "checkpoint":
      expect(client.walk()).toEqual(["active", "base", "made"]);
      expect([client.stat("made").parent, client.stat("active").parent] as unknown).toEqual(["base", "made"]);
      for (const look of [client.seen("made", readNew), mounted(client.mounts("active"), readNew)]) {
        expect(await look).toBe("new");
      }
      break;
    case "remove":
      expect(client.walk()).toEqual(["base"]);
      break;
  }
  expect(await client.seen("base", readAll)).toBe("kept");
}

async function tearDown(client: Client, verb: Verb): Promise<void> {
  if (verb === "checkpoint") await client.remove("active");
  if (verb !== "remove") await client.remove("made");
}

function perform(
  { snapshotter }: SnapshotterFixture,
  verb: Verb,
  operationId: string,
  request: object,
): Promise<unknown> {
  const call = snapshotter[verb] as (operationId: string, request: object) => Promise<unknown>;
  return call(operationId, request);
}

async function keepsWhatIsInUse(testPool: TestPool, testPoolModule: string, directory: string): Promise<void> {
  const killed = {
    directory,
    testPoolModule,
    point: "remove.intended",
    verb: "remove",
    operationId: freshOperationId(),
  } as const;
  const request = await withFixture(testPool, directory, (fixture) => setUp(new Client(fixture, "crashes"), "remove"));
  expect(await runUntilKilled({ ...killed, request })).toBe("SIGKILL");
  // The device that the killed process activated can be mounted before the next process starts.
  const path = withoutRecovery(testPool, directory);
  await mounted([{ type: "ext4", source: path, options: [] }], async () => {
    await using fixture = await openFixture(testPool, { directory });
    const client = new Client(fixture, "crashes");
    expect(client.stat("doomed").kind).toBe("active");
    expect(client.mounts("doomed")[0]?.source).toBe(path);
    expect(await inconsistencies(fixture)).toEqual([]);
    expect(await codeOf(perform(fixture, "remove", killed.operationId, request))).toBe("failed_precondition");
  });
  await withFixture(testPool, directory, (fixture) => new Client(fixture, "crashes").remove("doomed"));
}

/** The path of the device of "doomed", as the killed process left it. */
function withoutRecovery(testPool: TestPool, directory: string): string {
  using database = openDatabase(join(directory, "metadata.db"), { mode: "readonly" });
  const device = deviceOf(database, scope("crashes"), snapshotKey("doomed"));
  return testPool.connectDriver(directory, 768 * mebibyte).devicePath(device.deviceName);
}

async function losesContent(testPool: TestPool, directory: string): Promise<void> {
  await withFixture(testPool, directory, async (fixture) => {
    const client = new Client(fixture, "loss");
    await client.layer("lost", undefined);
    const { driver, database } = fixture;
    await driver.delete(deviceUnder(database, client.stat("lost")));
  });
  await withFixture(testPool, directory, async (fixture) => {
    const client = new Client(fixture, "loss");
    expect(fixture.recovered.join()).toContain('"lost" (scope loss) is lost');
    expect(client.stat("lost").kind).toBe("committed");
    expect(await codeOf(client.prepare("child", "lost"))).toBe("failed_precondition");
    await client.remove("lost");
    expect(await inconsistencies(fixture)).toEqual([]);
  });
}

async function fillsUp(testPool: TestPool, directory: string): Promise<void> {
  await using fixture = await openFixture(testPool, { directory, poolSizeBytes: 384 * mebibyte });
  const client = new Client(fixture);
  await client.layer("kept", undefined, (root) => writeFileSync(join(root, "file"), "kept"));
  await client.prepare("greedy", undefined, { [labelNames.maxSize]: "2GiB" });
  const written = await mounted(client.mounts("greedy"), (root) => writeUntilFull(join(root, "file")));
  expect(written).toBeWithin(32 * mebibyte, 384 * mebibyte);
  expect(await codeOf(client.checkpoint("corrupt", "greedy"))).toBe("resource_exhausted");
  expect(await codeOf(client.commit("corrupt", "greedy"))).toBe("resource_exhausted");
  expect(await codeOf(client.prepare("another", "kept"))).toBe("resource_exhausted");
  expect(client.walk()).toEqual(["greedy", "kept"]);
  expect(await inconsistencies(fixture)).toEqual([]);
  await client.remove("greedy");
  await client.layer("next", "kept");
  expect(await client.seen("next", (root) => readFileSync(join(root, "file"), "utf8"))).toBe("kept");
}

/** Writes incompressible data until an error; returns how many bytes were written.  */
async function writeUntilFull(path: string): Promise<number> {
  const chunk = Buffer.alloc(4 * mebibyte);
  await using file = await open(path, "w");
  for (let written = 0; ; written += chunk.length) {
    crypto.getRandomValues(chunk.subarray(0, 65536));
    try {
      writeSync(file.fd, chunk);
      await file.datasync();
    } catch {
      return written;
    }
  }
}
