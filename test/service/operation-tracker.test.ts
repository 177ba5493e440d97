// Tests the operations that callers have begun, with a real database: one effect and one answer, across restarts, in bounds.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { notFound, unavailable } from "../../src/domain/errors.ts";
import { operationId, poolName } from "../../src/domain/identifiers.ts";
import { amountAsked } from "../../src/metadata/asked-operations.ts";
import { type Database, openDatabase } from "../../src/metadata/database.ts";
import { serviceSchema } from "../../src/metadata/migrations.ts";
import type { BookBounds } from "../../src/service/operation-book.ts";
import { OperationTracker } from "../../src/service/operation-tracker.ts";
import type { Asked } from "../../src/service/tracked.ts";

let directory = "";
let database: Database;
let tracker: OperationTracker;
let troubles: string[] = [];
const path = () => join(directory, "service.db");

function open(bounds?: BookBounds): void {
  database = openDatabase(path(), { mode: "readwrite", schema: serviceSchema });
  const onTrouble = (sentence: string) => troubles.push(sentence);
  tracker = new OperationTracker({ database: () => database, onTrouble, ...(bounds && { bounds }) });
}
function close(): void {
  tracker[Symbol.dispose]();
  database.close();
}
const restart = (bounds?: BookBounds) => {
  close();
  open(bounds);
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-operations-"));
  troubles = [];
  open();
});
afterEach(() => {
  close();
  rmSync(directory, { recursive: true });
});

const asked = (name: string, more: Partial<Asked> = {}): Asked => ({
  operationId: operationId(`key-${name}-12345678`),
  isKeyed: true,
  tokenName: "ci",
  operation: "removeImages",
  pool: undefined,
  recovery: "unknown",
  ...more,
});
const given = { targets: ["a"] };
const never = () => Promise.withResolvers<never>().promise;
const mustNotRun = () => {
  throw new Error("it ran a second time");
};

async function end(one: Asked, work: () => unknown, what: unknown = given): Promise<void> {
  const begun = tracker.begin(one, what, work);
  if (begun.kind !== "begun") throw new Error(begun.kind);
  await begun.tracked.ended;
}

describe("an operation that has ended", () => {
  test("has its answer after a restart, a result or a failure, and does not run again", async () => {
    await end(asked("done"), () => ({ images: [1] }));
    await end(asked("failed"), () => {
      throw notFound("there is no image a");
    });
    restart();
    expect(tracker.begin(asked("done"), given, mustNotRun)).toEqual({
      kind: "ended",
      answer: { outcome: "result", result: { images: [1] } },
    });
    expect(tracker.begin(asked("failed"), given, mustNotRun)).toMatchObject({
      kind: "ended",
      answer: { outcome: "failure", failure: { code: "not_found", message: "there is no image a" } },
    });
    expect(tracker.begin(asked("done"), { targets: ["b"] }, mustNotRun)).toEqual({
      kind: "other",
      operation: "removeImages",
    });
    expect(tracker.recorded(asked("done").operationId)).toMatchObject({ operation: "removeImages", tokenName: "ci" });
  });

  test("for a reason that may pass begins anew after a restart", async () => {
    await end(asked("away"), () => {
      throw unavailable("Redis is away");
    });
    restart();
    await end(asked("away"), () => "done");
    expect(tracker.begin(asked("away"), given, mustNotRun)).toMatchObject({ answer: { result: "done" } });
  });

  test("leaves nothing of what was given but a digest", async () => {
    await end(asked("secret"), () => "done", { registry: { password: "correct horse battery" } });
    close();
    expect(readFileSync(path()).includes("correct horse battery")).toBe(false);
    open();
  });
});

describe("an operation that was interrupted", () => {
  test("has an unknown end, unless it may run again; another body is refused as ever", async () => {
    tracker.begin(asked("unknown"), given, never);
    tracker.begin(asked("again", { recovery: "repeated" }), given, never);
    tracker.begin(asked("journaled", { recovery: "journaled" }), given, never);
    expect(tracker.begin(asked("unknown"), given, mustNotRun).kind).toBe("running");
    restart();
    expect(tracker.find(asked("unknown").operationId)).toBeUndefined();
    expect(tracker.recorded(asked("unknown").operationId)?.answer).toBeUndefined();
    expect(tracker.begin(asked("unknown"), given, mustNotRun).kind).toBe("unknown");
    expect(tracker.begin(asked("again", { recovery: "repeated" }), { x: 1 }, mustNotRun).kind).toBe("other");
    await end(asked("again", { recovery: "repeated" }), () => 1);
    await end(asked("journaled", { recovery: "journaled" }), () => 2);
  });

  test("and ends after the book was closed stays so, and disturbs nothing", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const begun = tracker.begin(asked("late"), given, () => promise);
    restart();
    resolve("late");
    if (begun.kind === "begun") await begun.tracked.ended;
    expect(tracker.begin(asked("late"), given, mustNotRun).kind).toBe("unknown");
    expect(troubles).toEqual([]);
  });
});

describe("what is kept", () => {
  const bounds = { rows: 20, bytes: 10_000, ageMs: 3_600_000 };
  const ids = () =>
    database.drizzle.all<{ id: string }>("SELECT operation_id AS id FROM operations").map(({ id }) => id);

  test("is no more rows than the bound; those without a key go first, then the oldest", async () => {
    restart(bounds);
    for (let at = 0; at < 10; at += 1) await end(asked(`keyed${at}`), () => at);
    for (let at = 0; at < 30; at += 1) {
      await end(asked(`fresh${at}`, { isKeyed: false }), () => at);
      expect(amountAsked(database).rows).toBeLessThanOrEqual(bounds.rows);
    }
    expect(tracker.begin(asked("keyed0"), given, mustNotRun).kind).toBe("ended");
    for (let at = 10; at < 60; at += 1) await end(asked(`keyed${at}`), () => at);
    expect(amountAsked(database).rows).toBeLessThanOrEqual(bounds.rows);
    expect(ids()).toContain(asked("keyed59").operationId);
    expect(ids()).not.toContain(asked("keyed0").operationId);
  });

  test("is no more bytes than the bound once the next begins, whatever was there before", async () => {
    for (let at = 0; at < 8; at += 1) await end(asked(`big${at}`), () => "x".repeat(4_000));
    restart(bounds);
    await end(asked("next"), () => 1);
    expect(amountAsked(database).bytes).toBeLessThanOrEqual(bounds.bytes);
    expect(tracker.begin(asked("big7"), given, mustNotRun).kind).toBe("ended");
  });

  test("never lacks one that runs, and goes when it is too old", async () => {
    tracker.begin(asked("running"), given, never);
    await end(asked("old"), () => 1);
    database.drizzle.run("UPDATE operations SET started_at_ms = 1, ended_at_ms = ended_at_ms - 7200000");
    expect(tracker.begin(asked("old"), given, mustNotRun).kind).toBe("ended");
    close();
    database = openDatabase(path(), { mode: "readwrite", schema: serviceSchema });
    tracker = new OperationTracker({ database: () => database, onTrouble: (said) => troubles.push(said), bounds });
    tracker.begin(asked("running2"), given, never);
    database.drizzle.run("UPDATE operations SET started_at_ms = 1");
    expect(tracker.recorded(asked("old").operationId)).toBeUndefined();
    await tracker.prune();
    expect(ids()).toEqual([asked("running2").operationId]);
  });
});

test("as many run as may; a cancellation, and what has its answer, come through all the same", async () => {
  close();
  database = openDatabase(path(), { mode: "readwrite", schema: serviceSchema });
  tracker = new OperationTracker({ database: () => database, onTrouble: (said) => troubles.push(said), maxRunning: 2 });
  const of = (name: string) => asked(name, { pool: poolName("default") });
  await end(of("done"), () => 1);
  const { promise, resolve } = Promise.withResolvers<number>();
  tracker.begin(of("first"), given, () => promise);
  tracker.begin(of("second"), given, never);
  expect(() => tracker.begin(of("third"), given, mustNotRun)).toThrow(/2 operations are under way/);
  expect(tracker.recorded(of("third").operationId)).toBeUndefined();
  expect(tracker.begin(of("second"), given, mustNotRun).kind).toBe("running");
  expect(tracker.begin(of("done"), given, mustNotRun).kind).toBe("ended");
  await end(asked("cancel"), () => 1);
  resolve(1);
  await tracker.find(of("first").operationId)?.ended;
  await end(of("third"), () => 1);
});

describe("on a disk without room", () => {
  /** SQLite's own error for it, whatever the disk of the test. */
  function fill(): void {
    const [pages] = database.drizzle.get<[number]>("PRAGMA page_count") ?? [0];
    database.drizzle.run(`PRAGMA max_page_count = ${pages}`);
  }
  const free = () => database.drizzle.run("PRAGMA max_page_count = 1000000");

  test("nothing begins, and an answer that comes then is told, kept, and written as soon as there is room", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const begun = tracker.begin(asked("midway"), given, () => promise);
    fill();
    resolve("y".repeat(100_000));
    if (begun.kind !== "begun") throw new Error(begun.kind);
    await begun.tracked.ended;
    expect(troubles.join()).toContain("could not be written down yet");
    expect(tracker.begin(asked("midway"), given, mustNotRun)).toMatchObject({ kind: "ended" });
    const more = Array.from({ length: 200 }, (_, at) => asked(`more${at}`));
    expect(() => more.map((each) => tracker.begin(each, given, never))).toThrow(/service.db .* make room/);
    free();
    await end(asked("after"), () => 1);
    restart();
    expect(tracker.begin(asked("midway"), given, mustNotRun)).toMatchObject({ kind: "ended" });
  });
});
