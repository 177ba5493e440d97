// Tests a snapshotter on a thin-pool with unknown thin devices, other owners, and many concurrent clients.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { type DeviceId, deviceName, freshOperationId } from "../../src/domain/identifiers.ts";
import type { DmControlName } from "../../src/drivers/devicemapper/control/control.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/pool/definition.ts";
import { createDmControl } from "../../src/drivers/open.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { deviceUnder } from "../../src/metadata/snapshots.ts";
import { createSnapshotter } from "../../src/snapshotter/snapshotter.ts";
import { all, write } from "../conformance/changes.ts";
import { inconsistencies } from "../conformance/consistency.ts";
import { rejects } from "../conformance/driver-fixture.ts";
import { Client, codeOf, openFixture, type SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { thinTestPool } from "./thin-test-pool.ts";

setDefaultTimeout(300_000);

describe.each<[DmControlName]>([["libdevmapper"], ["dmsetup"]])("a snapshotter on a thin-pool through %s", (name) => {
  const testPool = thinTestPool(name);
  const shape = { pool: testPool.pool, fsType: "ext4", deviceSizeBytes: 2 ** 26 } as const;
  let directory: string;
  let fixture: SnapshotterFixture;
  let client: Client;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "snapmill-thin-mishaps-"));
    fixture = await openFixture(testPool, { directory });
    client = new Client(fixture);
    await client.layer("base", undefined, write("file", "kept"));
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });
  const make = async (deviceId: number) => {
    await using control = createDmControl(name);
    await control.message(poolDeviceName(testPool.pool), { kind: "create_thin", deviceId: deviceId as DeviceId });
  };

  test("deletes what has an ID that it had given back, and leaves alone, for ever, what has one it never gave", async () => {
    await client.prepare("key", "base");
    const given = deviceUnder(fixture.database, client.stat("key")).deviceId;
    await client.remove("key");
    const foreign = given + 1;
    await make(given);
    await make(foreign);
    expect((await fixture.snapshotter.recover()).lines).toEqual([
      `the device with ID ${given} was left over from a removal: deleted`,
      expect.stringMatching(new RegExp(`ID ${foreign} .* left alone`)) as string,
    ]);
    const { lines } = await fixture.snapshotter.recover();
    expect(lines).toHaveLength(1);
    await client.prepare("one", "base");
    await client.prepare("two", "base");
    const ids = ["one", "two"].map((key) => deviceUnder(fixture.database, client.stat(key)).deviceId);
    expect(ids).toEqual([given, (foreign + 1) as DeviceId]);
    for (const key of ["one", "two"]) await client.remove(key);
    const stranger = { deviceId: foreign as DeviceId, deviceName: deviceName(testPool.pool, 999), sizeBytes: 2 ** 20 };
    await fixture.driver.delete(stranger);
    expect(await inconsistencies(fixture)).toEqual([]);
  });

  test("refuses a pool that is another database's, and changes nothing in it", async () => {
    using other = openDatabase(join(directory, "other.db"), { mode: "readwrite" });
    const intruder = createSnapshotter({ database: other, driver: fixture.driver, ...shape });
    expect(await codeOf(intruder.recover())).toBe("failed_precondition");
    expect(await codeOf(intruder.prepare(freshOperationId(), client.request("key")))).not.toBe("no error");
    expect(await client.seen("base", (root) => readFileSync(join(root, "file"), "utf8"))).toBe("kept");
    expect(await inconsistencies(fixture)).toEqual([]);
  });

  test("refuses a copy of its database from before the last start, however often that tries", async () => {
    const copy = join(directory, "copy.db");
    fixture.database.drizzle.run(sql`VACUUM INTO ${copy}`);
    await fixture[Symbol.asyncDispose]();
    fixture = await openFixture(testPool, { directory });
    client = new Client(fixture, client.scope);
    using older = openDatabase(copy, { mode: "readwrite" });
    for (let tries = 0; tries < 3; tries += 1) {
      const intruder = createSnapshotter({ database: older, driver: fixture.driver, ...shape });
      await rejects(intruder.recover(), "failed_precondition", "older than the pool");
    }
    expect(await client.seen("base", (root) => readFileSync(join(root, "file"), "utf8"))).toBe("kept");
    expect(await inconsistencies(fixture)).toEqual([]);
  });

  test("serves a crowd of clients at once, each with what it wrote and nothing else", async () => {
    const crowd = Array.from({ length: 4 }, (_, index) => ({ one: new Client(fixture), text: `of client ${index}` }));
    await Promise.all(
      crowd.map(async ({ one, text }) => {
        await one.layer("lower", undefined, write("file", text));
        await one.layer("upper", "lower", all(write("file", `${text}, changed`), write("other", text)));
      }),
    );
    for (const { one, text } of crowd) {
      expect(await one.seen("upper", (root) => readFileSync(join(root, "file"), "utf8"))).toBe(`${text}, changed`);
      expect(await one.seen("lower", (root) => readFileSync(join(root, "file"), "utf8"))).toBe(text);
    }
    await Promise.all(
      crowd.map(async ({ one }) => {
        await one.remove("upper");
        await one.remove("lower");
      }),
    );
    expect(await inconsistencies(fixture)).toEqual([]);
  });
});
