// Owns what doctor must find and repair on any driver; each kind of damage is real.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eq } from "drizzle-orm";
import type { DeviceRef, DeviceState } from "../../src/domain/devices.ts";
import { type Diagnosis, type Finding, type FindingKind, findingId } from "../../src/domain/findings.ts";
import {
  deviceId,
  deviceName,
  freshOperationId,
  type OperationId,
  operationId,
  ownScope,
} from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { lastDeviceNumber, setDeviceState } from "../../src/metadata/devices.ts";
import { recordIntent } from "../../src/metadata/journal.ts";
import { addToOutbox, countPending } from "../../src/metadata/outbox.ts";
import { pendingRemovals } from "../../src/metadata/pending-removals.ts";
import { freeDeviceIds, outbox, snapshots } from "../../src/metadata/schema.ts";
import { deviceUnder } from "../../src/metadata/snapshots.ts";
import { inspect } from "../../src/snapshotter/inspect.ts";
import { inconsistencies } from "./consistency.ts";
import { runUntilKilled } from "./killed-operation.ts";
import { Client, mounted, openFixture, type SnapshotterFixture, type TestPool } from "./snapshotter-fixture.ts";

const dead = `sha256:${"d".repeat(64)}`;
const dayMs = 24 * 3600 * 1000;

/** Runs the suite; `testPoolModule` is the path of a module that exports `testPool`, for a child process to import. */
export function describeDoctor(title: string, testPool: TestPool, testPoolModule: string): void {
  describe(title, () => {
    setDefaultTimeout(180_000);
    let directory: string;
    let fixture: SnapshotterFixture;
    let client: Client;
    const openAgain = async () => {
      const snapshotter = { asyncRemove: true, isChainAbandoned: (chain: string) => chain === dead };
      fixture = await openFixture(testPool, { directory, snapshotter });
      client = new Client(fixture, ownScope);
    };
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "snapmill-doctor-"));
      await openAgain();
      await client.layer("base", undefined);
      await client.prepare("active", "base");
    });
    afterEach(async () => {
      expect(await doctor({ repair: false })).toEqual([]);
      expect(await inconsistencies(fixture)).toEqual([]);
    });
    afterAll(async () => {
      await fixture[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    });

    const doctor = async (request: { repair: boolean; only?: string[] }) =>
      (await fixture.snapshotter.doctor(freshOperationId(), request)).findings;
    const deviceOf = (key: string) => deviceUnder(fixture.database, client.stat(key));
    const driver = () => fixture.driver;
    const state = (key: string, to: DeviceState) => setDeviceState(fixture.database, deviceOf(key).number, to);
    /** Looking changes nothing: what is found twice is then mended, and found no more. */
    const expectMended = async (kind: FindingKind, subject: string) => {
      const found = await doctor({ repair: false });
      expect(found).toMatchObject([{ kind, subject, repaired: false }]);
      expect(await doctor({ repair: false })).toEqual(found);
      expect(await doctor({ repair: true })).toMatchObject([{ kind, subject, repaired: true }]);
    };
    const expectLeft = async (kind: FindingKind, subject: string, wayOut: string) => {
      const [left, ...more] = await doctor({ repair: true });
      expect(more).toEqual([]);
      expect(left).toMatchObject({ kind, subject, repaired: false });
      expect(left?.wayOut).toContain(wayOut);
    };
    const strange = (number: number): DeviceRef => ({
      deviceId: deviceId(9_000 + number),
      deviceName: deviceName(testPool.pool, number),
      sizeBytes: 2 ** 26,
    });

    test("a pool in which nothing is wrong is in order", async () => {
      expect(await doctor({ repair: true })).toEqual([]);
    });

    test("a record that was left in the middle of a commit is put right", async () => {
      state("active", "suspending");
      await expectMended("stuck-state", deviceOf("active").deviceName);
    });

    test("a record that says another state than its snapshot needs is put right", async () => {
      state("active", "deactivated");
      await expectMended("stuck-state", deviceOf("active").deviceName);
    });

    test("a device that is faulty, and is not, is taken into use again", async () => {
      state("active", "faulty");
      await expectMended("faulty-device", deviceOf("active").deviceName);
    });

    test("an active snapshot's device that is not active is activated", async () => {
      await driver().deactivate(deviceOf("active"));
      await expectMended("wrong-activation", deviceOf("active").deviceName);
      await mounted(client.mounts("active"), () => undefined);
    });

    test("an active device of a committed snapshot is deactivated as soon as no process has it open", async () => {
      const device = deviceOf("base");
      await driver().activate(device);
      {
        await using _open = await open(driver().devicePath(device.deviceName));
        await expectLeft("wrong-activation", device.deviceName, "something uses it");
      }
      await expectMended("wrong-activation", device.deviceName);
    });

    test("an entry of the outbox that cannot be read is reported, and dropped", async () => {
      const broken = [
        { operationId: "no operation's ID" as OperationId, job: "unpack", payload: "{}" },
        { operationId: operationId("op-not-json"), job: "remove-device", payload: "{" },
        { operationId: operationId("op-not-removal"), job: "remove-device", payload: '{"device":7}' },
        { operationId: operationId("op-not-unpack"), job: "unpack", payload: "null" },
      ];
      for (const entry of broken) {
        fixture.database.drizzle
          .insert(outbox)
          .values({ ...entry, createdAtMs: 1 })
          .run();
      }
      expect(pendingRemovals(fixture.database)).toEqual([]);
      expect(countPending(fixture.database, "unpack")).toBe(2);
      const found = await doctor({ repair: false });
      const told = broken.map((entry) => ({ kind: "damaged-record", subject: entry.operationId, repaired: false }));
      const ofKind = found.filter(({ kind }) => kind === "damaged-record");
      expect(ofKind).toHaveLength(told.length);
      expect(ofKind).toEqual(expect.arrayContaining(told.map((each) => expect.objectContaining(each))));
      expect((await doctor({ repair: true })).every(({ repaired }) => repaired)).toBe(true);
      expect(await doctor({ repair: true })).toEqual([]);
    });

    test("a device without a snapshot goes", async () => {
      await client.prepare("forgotten", "base");
      const { deviceName: name } = deviceOf("forgotten");
      fixture.database.drizzle
        .delete(snapshots)
        .where(eq(snapshots.key, client.stat("forgotten").key))
        .run();
      await expectMended("record-without-snapshot", name);
    });

    test("a snapshot whose content is gone is lost, and can only be removed", async () => {
      await client.layer("lost", undefined);
      const device = deviceOf("lost");
      await driver().delete(device);
      await expectLeft("content-lost", device.deviceName, "'snapmill rm --scope snapmill lost'");
      await expectLeft("content-lost", device.deviceName, "backup");
      await client.remove("lost");
      await fixture.snapshotter.cleanup(freshOperationId(), {});
    });

    test("a device in no record goes if it was this database's, and stays if its content may be needed", async () => {
      await client.prepare("gone", "base");
      const ours = deviceOf("gone");
      await client.remove("gone");
      await fixture.snapshotter.cleanup(freshOperationId(), {});
      await driver().create(ours);
      await driver().activate(ours);
      await expectMended("device-without-record", ours.deviceName);

      const foreign = strange(lastDeviceNumber(fixture.database) + 3);
      await driver().create(foreign);
      await driver().activate(foreign);
      for (const _look of [1, 2]) {
        await expectLeft("device-without-record", foreign.deviceName, "may hold content that is needed");
      }
      await driver().delete(foreign);
    });

    test("an ID that is down as free and is not is taken from the free ones", async () => {
      const { deviceId: used } = deviceOf("active");
      fixture.database.drizzle.insert(freeDeviceIds).values({ deviceId: used }).run();
      await expectMended("free-id-in-use", `ID ${used}`);
    });

    test("an operation without an end is undone", async () => {
      const operationId = freshOperationId();
      recordIntent(fixture.database, { operationId, job: "prepare", payload: {} });
      await expectMended("interrupted-operation", operationId);
    });

    test("what a dead unpack left is removed", async () => {
      await client.prepare("unpack/dead", undefined, { [labelNames.unpackChain]: dead });
      await expectMended("dead-unpack", "unpack/dead");
    });

    test("an unpack that does not end is named, and left to be decided", async () => {
      const operationId = freshOperationId();
      addToOutbox(fixture.database, {
        operationId,
        job: "unpack",
        payload: { pool: "test", operationId, reference: "oci:/images/a" },
      });
      const createdAtMs = Date.now() - 2 * dayMs;
      fixture.database.drizzle.update(outbox).set({ createdAtMs }).where(eq(outbox.operationId, operationId)).run();
      await expectLeft("unpack-pending", operationId, "/queues");
      fixture.database.drizzle.delete(outbox).where(eq(outbox.operationId, operationId)).run();
    });

    test("a removal that does not succeed for an hour is named until it does", async () => {
      await client.prepare("stubborn", "base");
      const { deviceName: name } = deviceOf("stubborn");
      await mounted(client.mounts("stubborn"), async () => {
        await client.remove("stubborn");
        expect(await doctor({ repair: false })).toEqual([]);
        fixture.database.drizzle
          .update(outbox)
          .set({ createdAtMs: Date.now() - dayMs })
          .run();
        await expectLeft("removal-pending", name, "unmount or close it");
      });
      await expectMended("removal-pending", name);
    });

    test("a removal that nothing is queued for is queued again", async () => {
      await client.prepare("stranded", "base");
      const { deviceName: name } = deviceOf("stranded");
      await mounted(client.mounts("stranded"), async () => {
        await client.remove("stranded");
        fixture.database.drizzle.delete(outbox).run();
        expect(await doctor({ repair: true })).toMatchObject([{ kind: "stuck-state", subject: name, repaired: true }]);
      });
      await fixture.snapshotter.cleanup(freshOperationId(), {});
    });

    test.each([
      ["prepare", "prepare.created", { key: "half", parent: "base" }],
      ["checkpoint", "checkpoint.copied", { key: "active", name: "half" }],
    ] as const)(
      "what a process killed in %s left is seen before anything puts it in order, and by looking stays as it is",
      async (verb, point, names) => {
        await fixture[Symbol.asyncDispose]();
        const request = { scope: client.scope, labels: {}, ...names };
        const operation = { directory, testPoolModule, point, verb, request } as const;
        expect(await runUntilKilled({ ...operation, operationId: freshOperationId() })).toBe("SIGKILL");
        const [first, second] = await lookTwice(testPool, directory);
        expect(first?.map(({ kind }) => kind).toSorted()).toEqual(["left-attached", "stuck-state"]);
        expect(second).toEqual(first);
        await openAgain();
      },
    );

    test("of two things only the chosen one is repaired; what is gone or not safe to repair is passed over", async () => {
      await client.prepare("second", "base");
      for (const key of ["active", "second"]) await driver().deactivate(deviceOf(key));
      const { deviceName: first } = deviceOf("active");
      const { deviceName: second } = deviceOf("second");
      const [{ id: chosen }] = (await doctor({ repair: false })).filter(({ subject }) => subject === first) as [
        Diagnosis,
      ];
      const left = { kind: "wrong-activation", subject: second, repairable: true, repaired: false };
      const repaired = await doctor({ repair: true, only: [chosen] });
      expect(repaired).toHaveLength(2);
      expect(repaired).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ id: chosen, subject: first, repaired: true }),
          expect.objectContaining(left),
        ]),
      );
      // The same ID once more is of something that is not there any more.
      for (const only of [[chosen], []]) expect(await doctor({ repair: true, only })).toMatchObject([left]);
      expect(await doctor({ repair: true })).toMatchObject([{ subject: second, repaired: true }]);
      await client.remove("second");
      await fixture.snapshotter.cleanup(freshOperationId(), {});
    });

    test("of each kind of thing only what is chosen is repaired", async () => {
      await client.prepare("unpack/dead", undefined, { [labelNames.unpackChain]: dead });
      await client.prepare("held", "base");
      const { deviceName: held } = deviceOf("held");
      await mounted(client.mounts("held"), async () => {
        await client.remove("held");
        fixture.database.drizzle
          .update(outbox)
          .set({ createdAtMs: Date.now() - dayMs })
          .where(eq(outbox.job, "remove-device"))
          .run();
      });
      const { deviceId: used } = deviceOf("active");
      fixture.database.drizzle.insert(freeDeviceIds).values({ deviceId: used }).run();
      const interrupted = freshOperationId();
      recordIntent(fixture.database, { operationId: interrupted, job: "prepare", payload: {} });
      const damaged = {
        operationId: operationId("op-damaged"),
        job: "unpack",
        payload: "null",
        createdAtMs: Date.now(),
      };
      fixture.database.drizzle.insert(outbox).values(damaged).run();
      const findings = [
        { kind: "dead-unpack", subject: "unpack/dead" },
        { kind: "free-id-in-use", subject: `ID ${used}` },
        { kind: "interrupted-operation", subject: interrupted },
        { kind: "damaged-record", subject: damaged.operationId },
        { kind: "removal-pending", subject: held },
      ] as const;
      const subjects = async () => (await doctor({ repair: false })).map(({ subject }) => subject).toSorted();
      let left: string[] = findings.map(({ subject }) => subject).toSorted();
      expect(await subjects()).toEqual(left);
      for (const finding of findings) {
        await doctor({ repair: true, only: [findingId(finding)] });
        left = left.filter((subject) => subject !== finding.subject);
        expect(await subjects()).toEqual(left);
      }
    });

    test("what is not safe to repair is left alone when it is chosen", async () => {
      const foreign = strange(lastDeviceNumber(fixture.database) + 3);
      await driver().create(foreign);
      await driver().activate(foreign);
      const [found] = await doctor({ repair: false });
      expect(found).toMatchObject({ subject: foreign.deviceName, repairable: false });
      expect(await doctor({ repair: true, only: [found?.id ?? ""] })).toEqual(found === undefined ? [] : [found]);
      await driver().delete(foreign);
    });

    test("a look is an operation like others: the same one gets the same answer", async () => {
      const operationId = freshOperationId();
      state("active", "suspending");
      const first = await fixture.snapshotter.doctor(operationId, { repair: true });
      expect(first.findings).toHaveLength(1);
      expect(await fixture.snapshotter.doctor(operationId, { repair: true })).toEqual(first);
    });
  });
}

/** As doctor inspects an idle pool: with a read-only database. */
async function lookTwice(testPool: TestPool, directory: string): Promise<Finding[][]> {
  const driver = testPool.connectDriver(directory, 768 * 2 ** 20);
  await driver.open();
  try {
    using database = openDatabase(join(directory, "metadata.db"), { mode: "readonly" });
    const inspection = { database, driver, pool: testPool.pool, isChainAbandoned: () => false, inService: false };
    return [await inspect(inspection), await inspect(inspection)];
  } finally {
    await driver.close();
  }
}
