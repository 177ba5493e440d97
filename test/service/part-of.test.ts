// Tests that an operation of several jobs gives each an ID of its own, which is the same when the operation runs again.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { operationId, parseDeviceName } from "../../src/domain/identifiers.ts";
import { openDatabase, transact } from "../../src/metadata/database.ts";
import { addRemoval } from "../../src/metadata/pending-removals.ts";
import { discardRemovals, retryRemovals } from "../../src/service/change-removals.ts";
import type { Changes } from "../../src/service/service.ts";
import { temporaryDirectory } from "../support/directories.ts";

test.each([
  ["retryRemovals", retryRemovals],
  ["discardRemovals", discardRemovals],
])("%s of more than one job can carry them all out under one operation ID", async (_name, run) => {
  await using directory = await temporaryDirectory();
  using database = openDatabase(join(directory.path, "pool.db"), { mode: "readwrite" });
  transact(database, () => {
    for (let number = 1; number <= 1_001; number += 1) addRemoval(database, parseDeviceName(`default-snap-${number}`));
  });
  const sent: { readonly id: string | undefined; readonly devices: number }[] = [];
  // As the journal does: an ID means one request.
  const change = (async (_job: string, given: { devices: string[] }, options?: { operationId?: string }) => {
    sent.push({ id: options?.operationId, devices: given.devices.length });
    return { devices: given.devices };
  }) as unknown as Changes["change"];
  const service = { database: () => database, change, devicePath: (device: string) => `/no/such/${device}` };
  const given = { names: [], all: true, matching: undefined, isDryRun: undefined, reason: "because" };
  const whole = { operationId: operationId("key-12345678") };
  expect((await run(service, given, whole)).devices).toHaveLength(1_001);
  expect(sent.map(({ devices }) => devices)).toEqual([1_000, 1]);
  expect(new Set([whole.operationId, ...sent.map(({ id }) => id)]).size).toBe(3);
  const first = sent.splice(0);
  await run(service, given, whole);
  expect(sent).toEqual(first);
});
