// Tests batches as the pool's worker records them: which items are in flight, how each ends, and what becomes of the rest.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { batchState } from "../../src/domain/batches.ts";
import {
  batchId,
  chainId,
  digest,
  freshOperationId,
  ownScope,
  poolName,
  snapshotKey,
} from "../../src/domain/identifiers.ts";
import type { RequestOf } from "../../src/jobs/contract.ts";
import { itemsPage, ofNoBatch } from "../../src/metadata/batch-items.ts";
import { countItems, findBatch } from "../../src/metadata/batches.ts";
import { type Database, transact } from "../../src/metadata/database.ts";
import { isCancelled, pendingOutbox } from "../../src/metadata/outbox.ts";
import { beginUnpack } from "../../src/snapshotter/begin-unpack.ts";
import { cancelBatch } from "../../src/snapshotter/cancel-batch.ts";
import type { Context } from "../../src/snapshotter/context.ts";
import { noteAttempt } from "../../src/snapshotter/note-attempt.ts";
import type { MetadataSteps } from "../../src/snapshotter/operations.ts";
import { removeBatch } from "../../src/snapshotter/remove-batch.ts";
import { retryBatch } from "../../src/snapshotter/retry-batch.ts";
import { settleUnpack } from "../../src/snapshotter/settle-unpack.ts";
import { submitBatch } from "../../src/snapshotter/submit-batch.ts";
import { addCommitted, temporaryDatabase } from "../metadata/support.ts";

const batch = batchId("b-test");
const chain = chainId(`sha256:${"c".repeat(64)}`);
const broken = { code: "failed_precondition", reason: "its layer is damaged", stage: "unpack" } as const;
const passing = { code: "unavailable", message: "the registry is away", stage: "fetch" } as const;

let database: Database;
let queued = 0;
let context: Context;
beforeEach(() => {
  database = temporaryDatabase();
  const { createdAtMs } = addCommitted(database, chain, 1, { inScope: ownScope });
  // As if it had been unpacked for the items that are settled with it.
  database.drizzle.run(`update snapshots set created_at_ms = ${createdAtMs + 10_000} where key = '${chain}'`);
  queued = 0;
  const onUnpackQueued = () => {
    queued += 1;
  };
  context = { database, pool: poolName("pool"), onUnpackQueued, defaultParallel: 2 } as Context;
});
afterEach(() => database.close());

const run = <Result>(steps: MetadataSteps<Result>): Result =>
  transact(database, () => ({ result: steps.apply() })).result;

const submit = (count: number, given: Partial<RequestOf<"submit-batch">> = {}) => {
  const items = Array.from({ length: count }, (_, index) => ({ reference: `oci:/image-${index}` }));
  return run(submitBatch(context, { batch, platform: "linux/amd64", items, ...given }));
};
const items = () => itemsPage(database, batch, { limit: 1000 });
const stateOf = () => {
  const { cancelledAtMs } = findBatch(database, batch);
  return batchState(countItems(database, batch), cancelledAtMs !== undefined);
};
const itemStatesNow = () => items().map(({ state }) => state);
/** The operations that are in the outbox, in the order of their items. */
const inFlight = () => {
  const accepted = new Set(pendingOutbox(database, "unpack").map(({ operationId }) => operationId));
  return items().flatMap(({ operationId }) => (operationId && accepted.has(operationId) ? [operationId] : []));
};
const next = () => inFlight()[0] ?? freshOperationId();
const begin = (operation = next()) => run(beginUnpack(context, { unpackOperationId: operation })).isWanted;
const settle = (outcome: RequestOf<"settle-unpack">["outcome"], operation = next()) =>
  run(settleUnpack(context, { unpackOperationId: operation, outcome }));
const image = {
  image: "oci:/image-0",
  platform: "linux/amd64",
  manifestDigest: digest(`sha256:${"d".repeat(64)}`),
  chainId: chain,
  snapshot: snapshotKey(chain),
  layers: [],
};
const unpacked = { kind: "unpacked", image } as const;
const failed = { kind: "failed", ...broken } as const;
const cancel = (reason = "not wanted") => run(cancelBatch(context, { batch, reason }));
const retry = (failedOnly = false) => run(retryBatch(context, { batch, failedOnly }));

describe("a batch", () => {
  test("has no more items in flight than it may, and the next is queued with the end of one", () => {
    expect(submit(5, { parallel: 3, priority: 7, attempts: 4, timeLimitMs: 1000 })).toEqual({ items: 5, isNew: true });
    expect([inFlight().length, queued]).toEqual([3, 1]);
    expect(pendingOutbox(database).map(({ operationId }) => operationId)).toEqual(inFlight());
    expect(pendingOutbox(database, "unpack")[0]?.payload).toMatchObject({
      pool: "pool",
      batch: { batch, priority: 7, attempts: 4, timeLimitMs: 1000 },
    });
    const first = next();
    const ofAnother = freshOperationId();
    expect(ofNoBatch(database, [...inFlight(), ofAnother])).toEqual([ofAnother]);
    expect(begin(first)).toBe(true);
    expect(itemStatesNow()).toEqual(["running", "pending", "pending", "pending", "pending"]);
    settle(unpacked, first);
    // Told twice, it has ended once.
    settle(failed, first);
    expect(itemStatesNow()).toEqual(["done", "pending", "pending", "pending", "pending"]);
    expect(inFlight()).toHaveLength(3);
    for (let left = 4; left > 0; left -= 1) settle(failed);
    expect(items()[4]).toMatchObject({
      state: "failed",
      attempts: 1,
      failure: { code: "failed_precondition", message: broken.reason, stage: "unpack" },
    });
    expect([stateOf(), inFlight().length]).toEqual(["failed", 0]);
  });

  test("may be submitted again, and is another one with other items or settings", () => {
    const registry = { plainHttp: true };
    expect(submit(2, { registry }).isNew).toBe(true);
    expect(submit(2, { registry })).toEqual({ items: 2, isNew: false });
    expect(() => submit(3, { registry })).toThrow("another batch b-test");
    expect(() => submit(2, { registry, priority: 5 })).toThrow("another batch b-test");
    expect(() => submit(2)).toThrow("another batch b-test");
    expect(items()[1]).toMatchObject({ registry, position: 1, state: "pending" });
    const twice = [{ reference: "oci:/a" }, { reference: "oci:/a" }];
    expect(() => submit(2, { batch: batchId("b-twice"), items: twice })).toThrow("oci:/a for linux/amd64 twice");
  });

  test("has an image present that was in the pool before its item began, and done what came later", () => {
    submit(2, { parallel: 1 });
    const nowMs = Date.now();
    begin();
    database.drizzle.run(`update snapshots set created_at_ms = ${nowMs - 1000} where key = '${chain}'`);
    settle(unpacked);
    begin();
    database.drizzle.run(`update snapshots set created_at_ms = ${nowMs + 10_000} where key = '${chain}'`);
    settle(unpacked);
    expect(itemStatesNow()).toEqual(["present", "done"]);
    expect(stateOf()).toBe("done");
  });

  test("counts attempts in its rows, and ends an item with the last", () => {
    submit(1, { attempts: 3 });
    const operation = next();
    const note = () => run(noteAttempt(context, { unpackOperationId: operation, failure: passing })).isLast;
    begin(operation);
    // Its worker died and another one begins: no attempt.
    begin(operation);
    expect(note()).toBe(false);
    expect(items()[0]).toMatchObject({ state: "pending", attempts: 1, failure: passing });
    begin(operation);
    expect(note()).toBe(false);
    begin(operation);
    expect(note()).toBe(true);
    expect(items()[0]).toMatchObject({ state: "failed", attempts: 3, failure: passing });
    expect([begin(operation), note(), stateOf(), inFlight().length]).toEqual([false, true, "failed", 0]);
  });

  test("is cancelled at once but for what runs, and never looks finished", () => {
    submit(5);
    const [first, second] = inFlight();
    begin(first);
    expect(cancel()).toEqual({ cancelled: 4, running: 1 });
    expect([stateOf(), isCancelled(database, first ?? next())]).toEqual(["cancelling", true]);
    expect(begin(second)).toBe(false);
    expect(inFlight()).toEqual([]);
    expect(() => run(removeBatch(context, { batch }))).toThrow("is cancelling: wait until it has ended");
    expect(() => retry()).toThrow("is being cancelled: wait until it has ended");
    settle(failed, first);
    expect([stateOf(), countItems(database, batch).cancelled]).toEqual(["cancelled", 5]);
    expect(cancel("again")).toEqual({ cancelled: 0, running: 0 });
    expect(findBatch(database, batch).cancelReason).toBe("not wanted");
  });

  test("cancels the rest when more items have failed than it was told to bear", () => {
    submit(10, { parallel: 4, failAfterPercent: 20 });
    settle(failed);
    settle(failed);
    expect(stateOf()).toBe("running");
    settle(failed);
    expect(stateOf()).toBe("cancelled");
    expect(findBatch(database, batch).cancelReason).toBe("3 of 10 items failed: more than 20 %");
    expect([countItems(database, batch).cancelled, inFlight().length]).toEqual([7, 0]);
  });

  test("is retried under new operations, all of it or what failed", () => {
    submit(3);
    const [first] = inFlight();
    settle(failed, first);
    cancel();
    expect(retry(true)).toEqual({ retried: 1 });
    expect(itemStatesNow()).toEqual(["pending", "cancelled", "cancelled"]);
    expect([stateOf(), begin(first)]).toEqual(["running", false]);
    expect(begin()).toBe(true);
    settle(unpacked);
    // Cancelled items are left: it is not done.
    expect(stateOf()).toBe("cancelled");
    expect(retry()).toEqual({ retried: 2 });
    settle(unpacked);
    settle(unpacked);
    expect([stateOf(), retry().retried]).toEqual(["done", 0]);
    run(removeBatch(context, { batch }));
    expect(() => findBatch(database, batch)).toThrow("no batch b-test");
    expect(items()).toEqual([]);
  });

  test("finds its next items and those in flight by an index, however many there are", () => {
    const planOf = (query: string) =>
      database.drizzle.all<{ detail: string }>(`explain query plan ${query}`).map(({ detail }) => detail);
    const open = "from batch_items where batch = 'b' and ended_at_ms is null and operation_id is";
    expect(planOf(`select count(*) ${open} not null`).join()).toContain("batch_items_in_flight");
    const waiting = planOf(`select * ${open} null order by position limit 3`).join();
    expect(waiting).toContain("batch_items_waiting");
    expect(waiting).not.toContain("TEMP B-TREE");
  });
});
