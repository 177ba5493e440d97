// Owns what every snapshotter must do with devices that cannot be removed yet: busy ones, and after a kill.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freshOperationId } from "../../src/domain/identifiers.ts";
import { type DeviceRecord, findDevice, listDevices } from "../../src/metadata/devices.ts";
import { pendingRemovals } from "../../src/metadata/pending-removals.ts";
import { deviceUnder } from "../../src/metadata/snapshots.ts";
import { type FaultPoint, faultPoints } from "../../src/system/faults.ts";
import { inconsistencies } from "./consistency.ts";
import { runUntilKilled } from "./killed-operation.ts";
import {
  Client,
  codeOf,
  mounted,
  mountedInTree,
  openFixture,
  type SnapshotterFixture,
  type TestPool,
} from "./snapshotter-fixture.ts";

const deaths: readonly FaultPoint[] = [
  ...faultPoints.filter((point) => point.startsWith("remove-device.")),
  "settle.committed",
];

export interface RemovalOptions {
  /** Where processes are killed. Default: at every point of a device's removal. */
  readonly points?: readonly FaultPoint[];
}

/** Runs the suite; `testPoolModule` is the path of a module that exports `testPool`, for a child process to import. */
export function describeRemovals(
  title: string,
  testPool: TestPool,
  testPoolModule: string,
  { points = deaths }: RemovalOptions = {},
): void {
  describe(title, () => {
    setDefaultTimeout(180_000);
    let directory: string;
    let fixture: SnapshotterFixture;
    let queued = 0;
    const openAgain = async () => {
      const onRemovalQueued = () => {
        queued += 1;
      };
      fixture = await openFixture(testPool, { directory, snapshotter: { asyncRemove: true, onRemovalQueued } });
    };
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "snapmill-removals-"));
      fixture = await openFixture(testPool, { directory });
      await new Client(fixture, "removals").layer("base", undefined);
    });
    afterEach(async () => {
      expect(await inconsistencies(fixture)).toEqual([]);
      expect(pendingRemovals(fixture.database)).toEqual([]);
    });
    afterAll(async () => {
      await fixture[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    });
    const newClient = () => new Client(fixture, "removals");
    const deviceOf = (client: Client, key: string) => deviceUnder(fixture.database, client.stat(key));

    test("synchronously, a device that is open fails the removal, and the snapshot is as it was", async () => {
      const client = newClient();
      const { mounts } = await client.prepare("held", "base");
      {
        await using _held = await open(mounts[0]?.source ?? "");
        expect(await codeOf(client.remove("held"))).toBe("failed_precondition");
        expect(client.stat("held").kind).toBe("active");
        expect(await inconsistencies(fixture)).toEqual([]);
      }
      await mounted(client.mounts("held"), (root) => writeFileSync(join(root, "still"), "writable"));
      await client.remove("held");
    });

    describe("when that is asynchronous", () => {
      beforeAll(async () => {
        await fixture[Symbol.asyncDispose]();
        await openAgain();
      });

      test("a mounted snapshot goes at once, its device as soon as it is unmounted", async () => {
        const client = newClient();
        const { mounts } = await client.prepare("busy", "base");
        const device = deviceOf(client, "busy");
        const queuedBefore = queued;
        await mounted(mounts, async (root) => {
          await client.remove("busy");
          expect(client.walk()).toEqual(["base"]);
          expect(queued).toBe(queuedBefore + 1);
          expect(findDevice(fixture.database, device.number)?.state).toBe("removed");
          expect(await codeOf(workOff(fixture))).toBe("unavailable");
          writeFileSync(join(root, "file"), "still writable");
          // Its key is free. Its ID is not: what is still in the pool under it is not what the next one is made on.
          await client.prepare("busy", "base");
          expect(deviceOf(client, "busy").deviceId).not.toBe(device.deviceId);
          expect(await inconsistencies(fixture)).toEqual([]);
        });
        await workOff(fixture);
        expect(findDevice(fixture.database, device.number)).toBeUndefined();
        await client.remove("busy");
        await workOff(fixture);
      });

      test("an open descriptor holds a device, and no other", async () => {
        const client = newClient();
        for (const key of ["held", "free-1", "free-2"]) await client.prepare(key, "base");
        const path = client.mounts("held")[0]?.source ?? "";
        {
          await using _held = await open(path);
          for (const key of ["free-1", "held", "free-2"]) await client.remove(key);
          const removals = pendingRemovals(fixture.database);
          const codes = await Promise.all(removals.map((removal) => codeOf(removeDevice(fixture, removal))));
          expect(codes.toSorted()).toEqual(["no error", "no error", "unavailable"]);
          expect(pendingRemovals(fixture.database)).toHaveLength(1);
        }
        await workOff(fixture);
      });

      test("what a commit copied away from under a mount goes when that is gone", async () => {
        const client = newClient();
        const { mounts } = await client.prepare("mounted", "base");
        await mountedInTree(mounts, async () => {
          await client.commit("kept", "mounted");
          expect(await codeOf(workOff(fixture))).toBe("unavailable");
        });
        await workOff(fixture);
        await client.remove("kept");
        await workOff(fixture);
      });

      test("a removal whose device is gone meanwhile is done, also when it is asked for again", async () => {
        const client = newClient();
        await client.prepare("gone", "base");
        const device = deviceOf(client, "gone");
        await client.remove("gone");
        await fixture.driver.delete(device);
        const [removal] = pendingRemovals(fixture.database);
        if (removal === undefined) throw new Error("no removal is pending");
        expect(await removeDevice(fixture, removal)).toEqual({});
        expect(await removeDevice(fixture, removal)).toEqual({});
        expect(await fixture.snapshotter["remove-device"](freshOperationId(), removal)).toEqual({});
      });

      test("remove-device touches no device that is not to be removed", async () => {
        const client = newClient();
        const base = deviceOf(client, "base");
        await fixture.snapshotter["remove-device"](freshOperationId(), { device: base.deviceName });
        expect(await client.seen("base", () => "there")).toBe("there");
        await workOff(fixture);
      });

      test("cleanup works off all that is not in use, and goes on with one that is the next time", async () => {
        const client = newClient();
        const keys = ["a", "b", "c", "d"];
        for (const key of keys) await client.prepare(key, "base");
        await mounted(client.mounts("b"), async () => {
          for (const key of keys) await client.remove(key);
          const cleaned = await fixture.snapshotter.cleanup(freshOperationId(), {});
          expect(cleaned).toEqual({ removedDevices: 3, removedSnapshots: 0 });
          expect(pendingRemovals(fixture.database)).toHaveLength(1);
        });
        expect((await fixture.snapshotter.cleanup(freshOperationId(), {})).removedDevices).toBe(1);
      });

      test("what is still to be removed is so after a restart, and is not in the way of it", async () => {
        const client = newClient();
        await client.prepare("later", "base");
        await client.remove("later");
        const before = pendingRemovals(fixture.database);
        await fixture[Symbol.asyncDispose]();
        await openAgain();
        expect(fixture.recovered).toEqual([]);
        expect(pendingRemovals(fixture.database)).toEqual(before);
        await workOff(fixture);
      });

      const endAt = async (point: FaultPoint) => {
        const client = newClient();
        await client.prepare("doomed", "base");
        await client.remove("doomed");
        const [removal] = pendingRemovals(fixture.database);
        if (removal === undefined) throw new Error("no removal is pending");
        const { operationId, device } = removal;
        await fixture[Symbol.asyncDispose]();
        const operation = {
          directory,
          testPoolModule,
          point,
          verb: "remove-device",
          operationId,
          request: { device },
        } as const;
        expect(await runUntilKilled(operation)).toBe("SIGKILL");
        await openAgain();
        expect(await inconsistencies(fixture)).toEqual([]);
        expect(await removeDevice(fixture, removal)).toEqual({});
        expect(devicesNamed(fixture, device)).toEqual([]);
        // The key is used again, and the old operation repeated: it does not touch the new snapshot.
        const again = newClient();
        await again.prepare("doomed", "base");
        expect(await removeDevice(fixture, removal)).toEqual({});
        expect(again.stat("doomed").kind).toBe("active");
        await again.remove("doomed");
        await workOff(fixture);
      };
      for (const point of points) {
        test(`killed in remove-device at ${point}, the same operation has its effect once`, () => endAt(point));
      }
    });
  });
}

interface Removal {
  readonly operationId: ReturnType<typeof freshOperationId>;
  readonly device: DeviceRecord["deviceName"];
}

const removeDevice = ({ snapshotter }: SnapshotterFixture, { operationId, device }: Removal): Promise<object> =>
  snapshotter["remove-device"](operationId, { device });

/** One round of the queue over the outbox. */
async function workOff(fixture: SnapshotterFixture): Promise<void> {
  for (const removal of pendingRemovals(fixture.database)) await removeDevice(fixture, removal);
}

const devicesNamed = ({ database }: SnapshotterFixture, name: string) =>
  listDevices(database).filter(({ deviceName }) => deviceName === name);
