// Tests removals in groups, and that retrying and discarding change the set that was confirmed, or nothing.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { ownScope, parseDeviceName, snapshotKey } from "../../src/domain/identifiers.ts";
import { noTrouble, troubleOf } from "../../src/domain/removal-trouble.ts";
import { type Database, openDatabase, transact } from "../../src/metadata/database.ts";
import {
  addRemoval,
  discardRemovals as discard,
  dropRemoval,
  noteRemovalFailure,
  removalRecords,
} from "../../src/metadata/pending-removals.ts";
import { discardRemovals, retryRemovals } from "../../src/service/change-removals.ts";
import { removalGroups } from "../../src/service/removal-groups.ts";
import type { Changes } from "../../src/service/service.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/directories.ts";

let directory: TemporaryDirectory;
let database: Database;
const sent: { readonly job: string; readonly devices: readonly string[] }[] = [];
const change = (async (job: string, { devices }: { devices: string[] }) => {
  sent.push({ job, devices });
  return { devices };
}) as unknown as Changes["change"];
const service = () => ({ database: () => database, change, devicePath: (device: string) => `/no/such/${device}` });

const device = (number: number) => parseDeviceName(`default-snap-${number}`);
const busy = (number: number, who: string) =>
  `device ${device(number)} cannot be removed yet: device ${device(number)} (/dev/loop${number}) is in use: ${who}; unmount it`;

beforeEach(async () => {
  sent.length = 0;
  directory = await temporaryDirectory();
  database = openDatabase(join(directory.path, "pool.db"), { mode: "readwrite" });
  transact(database, () => {
    for (const number of [1, 2, 3, 4, 5]) {
      const key = snapshotKey(`build-${number}`);
      addRemoval(database, device(number), { scope: ownScope, key, usedBytes: 3_000, inheritedBytes: 1_000 });
    }
  });
  fail(1, busy(1, "mounted at /mnt/1 by process 17 (a)"), undefined);
  fail(2, busy(2, "open in process 4711 (b)"), 5);
  fail(3, `device ${device(3)} cannot be removed yet: dmsetup remove ${device(3)} ended with status 1`, 5);
  transact(database, () => void discard(database, [device(5)], "evidence"));
});
afterEach(async () => {
  database.close();
  await directory[Symbol.asyncDispose]();
});

function fail(number: number, message: string, nextTryAtMs: number | undefined): void {
  const operationId = removalRecords(database).find((each) => each.device === device(number))?.operationId;
  if (operationId === undefined) throw new Error(`there is no removal of ${device(number)}`);
  transact(database, () => noteRemovalFailure(database, operationId, { message, atMs: 4, nextTryAtMs }));
}

const given = { names: [] };

test("what an error says of any device has no name, no path, no number and no holder of one", () => {
  expect(troubleOf(device(7), busy(7, "mounted at /mnt by process 3 (x)"))).toBe("the device is in use");
  expect(troubleOf(device(7), busy(7, "open"))).toBe(troubleOf(device(8), busy(8, "part of device /dev/dm-2")));
  expect(troubleOf(device(7), `dmsetup remove ${device(7)} ended with status 1`)).toBe(
    troubleOf(device(12), `dmsetup remove ${device(12)} ended with status 1`),
  );
  expect(troubleOf(device(7), null)).toBe(noTrouble);
  expect(troubleOf(device(7), "x".repeat(1_000)).length).toBeLessThan(300);
});

test("removals are grouped by what keeps the devices, and then by who holds them", async () => {
  const { count, bytes, states, troubles } = await removalGroups(service(), { removals: 1 });
  expect([count, bytes, states]).toEqual([5, 10_000, { pending: 3, failed: 1, discarded: 1 }]);
  const untried = { trouble: noTrouble, count: 2, bytes: 4_000, holders: [{ id: "unknown", holder: null, count: 2 }] };
  const inUse = { trouble: "the device is in use", count: 2, holders: [{ id: "nobody", holder: null, count: 2 }] };
  expect(troubles).toMatchObject([inUse, untried, { count: 1 }].toSorted((one, other) => other.count - one.count));
  const inGroup = troubles.find(({ trouble }) => trouble === inUse.trouble)?.holders[0]?.removals;
  expect(inGroup).toMatchObject([{ device: device(1), key: "build-1", trouble: inUse.trouble, bytes: 2_000 }]);
});

test("each filter finds those that it names, for the groups as for a retry", async () => {
  const found = async (filter: Omit<Parameters<typeof retryRemovals>[1], "names">) => {
    const { devices, set } = await retryRemovals(service(), { ...given, ...filter, isDryRun: true });
    const groups = await removalGroups(service(), { ...filter, removals: 0 });
    expect([groups.count, groups.set]).toEqual([devices.length, set ?? ""]);
    return devices;
  };
  expect(await found({ states: ["failed"] })).toEqual([device(1)]);
  expect(await found({ states: ["pending", "failed"] })).toEqual([1, 2, 3, 4].map(device));
  expect(await found({ states: ["discarded"] })).toEqual([device(5)]);
  expect(await found({ trouble: "the device is in use" })).toEqual([1, 2].map(device));
  expect(await found({ matching: "process 17" })).toEqual([device(1)]);
  expect(await found({ find: "build-3" })).toEqual([device(3)]);
  expect(await found({ holder: "nobody" })).toEqual([1, 2, 3].map(device));
  expect(await found({ holder: "process-17" })).toEqual([]);
  expect(sent).toEqual([]);
});

test.each([
  ["retried", retryRemovals, "retry-removals"],
  ["discarded", discardRemovals, "discard-removals"],
] as const)(
  "those that were confirmed are %s; if others match by then, nothing is, and their count is told",
  async (_word, run, job) => {
    const all = { ...given, trouble: "the device is in use", reason: "because" };
    const { set } = await run(service(), { ...all, isDryRun: true });
    fail(4, busy(4, "open in process 9 (c)"), 5);
    await expect(run(service(), { ...all, ifSet: set })).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("nothing was changed: others match than those that were confirmed, 3 removals"),
    });
    transact(database, () => dropRemoval(database, device(1)));
    // As many as were confirmed, but not the same.
    await expect(run(service(), { ...all, ifSet: set })).rejects.toThrow("2 removals match now");
    expect(sent).toEqual([]);
    const { set: fresh } = await run(service(), { ...all, isDryRun: true });
    expect(await run(service(), { ...all, ifSet: fresh })).toEqual({ devices: [2, 4].map(device) });
    expect(sent).toEqual([{ job, devices: [2, 4].map(device) }]);
  },
);
