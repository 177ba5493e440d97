// Tests the journal and the outbox.
import { describe, expect, test } from "bun:test";
import { SnapmillError } from "../../src/domain/errors.ts";
import {
  forgetOperation,
  interruptedOperations,
  pruneJournal,
  recordAnswer,
  recordedAnswer,
  recordIntent,
  settleInterrupted,
} from "../../src/metadata/journal.ts";
import {
  addToOutbox,
  cancelInOutbox,
  dropFromOutbox,
  isCancelled,
  pendingOutbox,
  pruneCancelled,
} from "../../src/metadata/outbox.ts";
import { anOperation, temporaryDatabase } from "./support.ts";

const request = (payload: unknown = { key: "k", labels: { a: "1", b: "2" } }) => ({
  operationId: anOperation(),
  job: "prepare",
  payload,
});

describe("the journal", () => {
  test("knows an operation's result and its final failure, word for word", () => {
    using database = temporaryDatabase();
    const [good, bad] = [request(), request()];
    recordIntent(database, good);
    expect(recordedAnswer(database, good)).toBeUndefined();
    recordAnswer(database, good, { outcome: "result", result: { mounts: [] } });
    recordAnswer(database, bad, { outcome: "failure", failure: new SnapmillError("not_found", "no parent") });
    expect(recordedAnswer(database, good)).toEqual({ outcome: "result", result: { mounts: [] } });
    expect(recordedAnswer(database, bad)).toMatchObject({ failure: { code: "not_found", message: "no parent" } });
  });

  test("tells the same request in another order of fields from another request", () => {
    using database = temporaryDatabase();
    const first = request();
    recordAnswer(database, first, { outcome: "result", result: {} });
    const reordered = { ...first, payload: { labels: { b: "2", a: "1" }, parent: undefined, key: "k" } };
    expect(recordedAnswer(database, reordered)).toBeDefined();
    expect(() => recordedAnswer(database, { ...first, payload: { key: "other" } })).toThrow("choose a fresh one");
    expect(() => recordedAnswer(database, { ...first, job: "view" })).toThrow("choose a fresh one");
  });

  test("lists what was interrupted until it is settled or forgotten", () => {
    using database = temporaryDatabase();
    const [first, second] = [request(), request()];
    recordIntent(database, first);
    recordIntent(database, second);
    settleInterrupted(database, first.operationId);
    expect(interruptedOperations(database)).toEqual([{ operationId: second.operationId, job: "prepare" }]);
    forgetOperation(database, second.operationId);
    expect(interruptedOperations(database)).toEqual([]);
    expect(recordedAnswer(database, first)).toEqual({ outcome: "result", result: {} });
  });

  test("is pruned of old answers only, a bounded number at a time", () => {
    using database = temporaryDatabase();
    recordIntent(database, request());
    for (let count = 0; count < 5; count += 1) recordAnswer(database, request(), { outcome: "result", result: {} });
    const later = Date.now() + 1000;
    expect(pruneJournal(database, Date.now() - 1000, 10)).toBe(0);
    expect(pruneJournal(database, later, 3)).toBe(3);
    expect(pruneJournal(database, later, 3)).toBe(2);
    expect(interruptedOperations(database)).toHaveLength(1);
  });
});

describe("the outbox", () => {
  test("keeps entries in order until they are dropped", () => {
    using database = temporaryDatabase();
    const entries = [anOperation(), anOperation()].map((operationId) => ({
      operationId,
      job: "unpack",
      payload: { operationId },
    }));
    for (const entry of entries) addToOutbox(database, entry);
    expect(
      pendingOutbox(database)
        .map(({ operationId }) => operationId)
        .sort(),
    ).toEqual(entries.map(({ operationId }) => operationId).sort());
    for (const { operationId } of entries) dropFromOutbox(database, operationId);
    expect(pendingOutbox(database)).toEqual([]);
  });
});

test("a cancelled entry of the outbox is pending no more, but remembered until it is pruned", () => {
  using database = temporaryDatabase();
  const operationId = anOperation();
  addToOutbox(database, { operationId, job: "unpack", payload: {} });
  expect(isCancelled(database, operationId)).toBe(false);
  cancelInOutbox(database, operationId);
  pruneCancelled(database, Date.now() - 1000);
  addToOutbox(database, { operationId, job: "unpack", payload: {} });
  expect(pendingOutbox(database)).toEqual([]);
  expect(isCancelled(database, operationId)).toBe(true);
  pruneCancelled(database, Date.now() + 1000);
  expect(isCancelled(database, operationId)).toBe(false);
});

test("an entry that was cancelled before it was written down is never pending", () => {
  using database = temporaryDatabase();
  const operationId = anOperation();
  cancelInOutbox(database, operationId);
  addToOutbox(database, { operationId, job: "unpack", payload: {} });
  expect(pendingOutbox(database)).toEqual([]);
  expect(isCancelled(database, operationId)).toBe(true);
  pruneCancelled(database, Date.now() + 1000);
  expect(isCancelled(database, operationId)).toBe(false);
});
