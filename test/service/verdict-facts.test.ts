// Room: test. Owns the facts of a verdict: what is taken of a pool's records, and of its history.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { batchId, freshOperationId, parseDeviceName, poolName } from "../../src/domain/identifiers.ts";
import { failItem, insertItems, queueItem, startItem, waitingItems } from "../../src/metadata/batch-items.ts";
import { insertBatch, markCancelled } from "../../src/metadata/batches.ts";
import { type Database, openDatabase } from "../../src/metadata/database.ts";
import { recordSamples } from "../../src/metadata/history.ts";
import { serviceSchema } from "../../src/metadata/migrations.ts";
import { addRemoval, noteRemovalFailure, pendingRemovals } from "../../src/metadata/pending-removals.ts";
import { putUnpackHold } from "../../src/metadata/queue-holds.ts";
import { addStrikes } from "../../src/metadata/strikes.ts";
import type { PoolService } from "../../src/service/service.ts";
import { historyPart, poolPart } from "../../src/service/verdict-facts.ts";
import { temporaryDatabase } from "../metadata/support.ts";
import { aPoint } from "../support/history.ts";

let database: Database;
beforeEach(() => {
  database = temporaryDatabase();
});
afterEach(() => database.close());

/** Its devices are nowhere, so nobody holds them. */
const service = (): PoolService =>
  ({ database: () => database, devicePath: (name: string) => `/nowhere/${name}` }) as unknown as PoolService;
const part = () => poolPart(service(), Date.now());

describe("a pool's records", () => {
  test("of a pool in service hold nothing to tell", async () => {
    expect(await part()).toMatchObject({
      hasPool: true,
      hold: undefined,
      setAside: { count: 0 },
      failedRemovals: { count: 0 },
      failingRemovals: { count: 0 },
      failedBatches: [],
    });
  });

  test("tell a hold, and operations that were set aside at the second death", async () => {
    const hold = { kind: "paused", heldBy: "root", reason: "test", sinceMs: 5, handOverAtMs: null } as const;
    putUnpackHold(database, hold);
    const struck = { operationId: freshOperationId(), job: "prepare" };
    addStrikes(database, "run 1", [struck]);
    expect((await part()).setAside.count).toBe(0);
    addStrikes(database, "run 2", [struck]);
    expect(await part()).toMatchObject({ hold, setAside: { count: 1, jobs: ["prepare"] } });
  });

  test("tell removals that were given up, and those that failed three times, by the one that fails for the longest", async () => {
    const pool = poolName("pool");
    for (const number of [1, 2, 3]) addRemoval(database, parseDeviceName(`${pool}-snap-${number}`));
    const [one, two, three] = pendingRemovals(database);
    if (one === undefined || two === undefined || three === undefined) throw new Error("there are not three");
    const fail = (removal: typeof one, atMs: number, nextTryAtMs: number | undefined, message = "it is in use") =>
      noteRemovalFailure(database, removal.operationId, { message, atMs, nextTryAtMs });
    for (const atMs of [10, 20]) fail(one, atMs, 99);
    fail(three, 7, undefined, "first");
    fail(two, 9, undefined, "second");
    expect(await part()).toMatchObject({
      failedRemovals: { count: 2, error: "first", sinceMs: 7, holder: null },
      failingRemovals: { count: 0 },
    });
    fail(one, 30, 99);
    expect(await part()).toMatchObject({ failingRemovals: { count: 1, error: "it is in use", sinceMs: 10 } });
  });

  test("tell batches with failures that run, or were made within a day", async () => {
    const fill = (name: string) => {
      const batch = batchId(name);
      insertBatch(database, { batch, name: `${name}!`, priority: 1, parallel: 1, attempts: 1 });
      insertItems(database, batch, [
        { reference: "docker://host/a:1", platform: "linux/amd64" },
        { reference: "docker://host/b:1", platform: "linux/amd64" },
      ]);
      return batch;
    };
    fill("well-1");
    const failing = fill("failing-1");
    const [item] = waitingItems(database, failing, 1);
    if (item === undefined) throw new Error("it has no item");
    queueItem(database, item, freshOperationId());
    startItem(database, item);
    failItem(database, item, { code: "internal", message: "broken", stage: "fetch" });
    const told = { batch: "failing-1", name: "failing-1!", failed: 1, items: 2, isOver: false };
    expect((await part()).failedBatches).toMatchObject([told]);
    expect((await poolPart(service(), Date.now() + 3 * 86_400_000)).failedBatches).toMatchObject([told]);
    markCancelled(database, failing, "enough");
    const [left] = waitingItems(database, failing, 1);
    if (left !== undefined) failItem(database, left, { code: "internal", message: "broken", stage: "fetch" });
    expect((await part()).failedBatches).toMatchObject([{ isOver: true, failed: 2 }]);
    expect((await poolPart(service(), Date.now() + 3 * 86_400_000)).failedBatches).toEqual([]);
  });

  test("that cannot be read leave it at what up says", async () => {
    const away = { ...service(), database: () => openDatabase("/nowhere/metadata.db", { mode: "readonly" }) };
    expect(await poolPart(away as PoolService, 0)).toMatchObject({ hasPool: false, failedBatches: [] });
  });
});

describe("a pool's history", () => {
  const nowMs = 1_800_000_000_000;
  const records = () => openDatabase(`${database.path}.service`, { mode: "readwrite", schema: serviceSchema });
  const fill = (into: Database, minutes: number, given: (agoS: number) => object) => {
    for (let agoS = minutes * 60; agoS >= 0; agoS -= 10) {
      const point = aPoint({ atMs: nowMs - agoS * 1000, dataTotalBytes: 1000, dataUsedBytes: 0, ...given(agoS) });
      recordSamples(into, new Map([["pool", point]]));
    }
  };

  test("that fills has a trend, and is not full", () => {
    using into = records();
    fill(into, 30, (agoS) => ({ dataUsedBytes: 600 - Math.round(agoS / 10) }));
    const { data, metadata } = historyPart(into, "pool", nowMs);
    expect(data).toMatchObject({ usedBytes: 600, totalBytes: 1000, fullSinceMs: null });
    expect(((data?.trend?.fullAtMs ?? 0) - nowMs) / 4_000_000).toBeCloseTo(1, 1);
    expect(metadata).toBeUndefined();
  });

  test("that is full says since when, also beyond the hour", () => {
    using into = records();
    fill(into, 150, (agoS) => ({ dataUsedBytes: agoS > 7_200 ? 500 : 995 }));
    const { data } = historyPart(into, "pool", nowMs);
    expect(((data?.fullSinceMs ?? 0) - nowMs) / 7_200_000).toBeCloseTo(-1, 1);
  });

  test("in which unpacks run without an end of a layer says since when; one that ended begins anew", () => {
    using into = records();
    fill(into, 40, (agoS) => ({ runningUnpacks: agoS > 1800 ? 0 : 1, unpackedLayers: agoS === 900 ? 1 : 0 }));
    expect(historyPart(into, "pool", nowMs).unpacksIdleSinceMs).toBe(nowMs - 890_000);
    fill(into, 0, () => ({ runningUnpacks: 1, unpackedLayers: 1 }));
    expect(historyPart(into, "pool", nowMs).unpacksIdleSinceMs).toBeNull();
  });

  test("whose last point is a minute old says nothing of now", () => {
    using into = records();
    fill(into, 5, () => ({ dataUsedBytes: 995 }));
    expect(historyPart(into, "pool", nowMs + 61_000)).toEqual({
      data: undefined,
      metadata: undefined,
      unpacksIdleSinceMs: null,
    });
    expect(historyPart(undefined, "pool", nowMs).data).toBeUndefined();
  });
});
