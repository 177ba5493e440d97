// Tests the operation queue: the order of operations, how they share commits, and what happens when a commit fails.
import { describe, expect, test } from "bun:test";
import { aborted, failedPrecondition, unavailable } from "../../src/domain/errors.ts";
import { freshOperationId } from "../../src/domain/identifiers.ts";
import type { Request } from "../../src/metadata/journal.ts";
import { listSetAside } from "../../src/metadata/strikes.ts";
import { createOperationQueue, type OperationQueueOptions } from "../../src/snapshotter/operation-queue.ts";
import { failure, type Operation, success } from "../../src/snapshotter/operations.ts";
import { NotedCrashGuard, noCrashGuard } from "../../src/snapshotter/strikes.ts";
import { temporaryDatabase } from "../metadata/support.ts";

const request = (payload: unknown = {}) => ({ operationId: freshOperationId(), job: "test", payload });

const metadataNamed = (name: string): Operation<string> => ({
  kind: "metadata",
  request: request(),
  apply: () => name,
});

/** A queue that counts its commits and reconciliations, and a diary of what ran. */
function queueOn(database: OperationQueueOptions["database"], overrides: Partial<OperationQueueOptions> = {}) {
  const counted = { rounds: 0, reconciled: 0 };
  const diary: string[] = [];
  const queue = createOperationQueue({
    database,
    reconcile: async () => {
      counted.reconciled += 1;
      diary.push("reconcile");
      return await Promise.resolve({ lines: [] });
    },
    onReconciled: () => undefined,
    assertOwned: () => {
      counted.rounds += 1;
    },
    settled: () => undefined,
    crashGuard: noCrashGuard,
    ...overrides,
  });
  const metadata = (name: string): Operation<string> => ({
    kind: "metadata",
    request: request(),
    apply() {
      diary.push(name);
      return name;
    },
  });
  const effect = (name: string): Operation<string> => ({
    kind: "effect",
    request: request(),
    intend() {
      diary.push(`${name} intended`);
      return async () => {
        await Bun.sleep(1);
        diary.push(`${name} acted`);
        return success(() => {
          diary.push(`${name} settled`);
          return name;
        });
      };
    },
  });
  return { queue, counted, diary, metadata, effect };
}

describe("the operation queue", () => {
  test("lets 64 metadata operations that wait share one commit", async () => {
    using database = temporaryDatabase();
    const { queue, counted, metadata } = queueOn(database);
    const names = Array.from({ length: 130 }, (_, index) => `${index}`);
    expect(await Promise.all(names.map((name) => queue.submit(metadata(name))))).toEqual(names);
    expect(counted.rounds).toBe(3);
  });

  test("commits an effect twice, and the end of one together with the beginning of the next", async () => {
    using database = temporaryDatabase();
    const { queue, counted, effect } = queueOn(database);
    await queue.submit(effect("alone"));
    expect(counted.rounds).toBe(2);
    await Promise.all(["a", "b", "c"].map((name) => queue.submit(effect(name))));
    expect(counted.rounds).toBe(6);
  });

  test("keeps the order of submission, and never runs two effects at once", async () => {
    using database = temporaryDatabase();
    const { queue, diary, metadata, effect } = queueOn(database);
    const operations = [effect("a"), metadata("1"), metadata("2"), effect("b"), metadata("3")];
    await Promise.all(operations.map((operation) => queue.submit(operation)));
    expect(diary).toEqual([
      "reconcile",
      "a intended",
      "a acted",
      "a settled",
      "1",
      "2",
      "b intended",
      "b acted",
      "b settled",
      "3",
    ]);
  });

  test("answers each operation of a commit by itself", async () => {
    using database = temporaryDatabase();
    const { queue, metadata } = queueOn(database);
    const refused: Operation<never> = {
      kind: "metadata",
      request: request(),
      apply() {
        throw failedPrecondition("refused");
      },
    };
    const [first, second, third] = await Promise.allSettled([
      queue.submit(metadata("1")),
      queue.submit(refused),
      queue.submit(metadata("3")),
    ]);
    expect([first.status, second.status, third.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
    await expect(queue.submit(refused)).rejects.toMatchObject({ code: "failed_precondition", message: "refused" });
  });

  test("tells every caller of a failed commit to try again, and works again", async () => {
    using database = temporaryDatabase();
    let full = true;
    const assertOwned = () => {
      if (full) throw new Error("database or disk is full");
    };
    const { queue, metadata } = queueOn(database, { assertOwned });
    const operations = [metadata("1"), metadata("2")];
    for (const { status, reason } of (await Promise.allSettled(operations.map((each) => queue.submit(each)))).map(
      (settled) => ({ status: settled.status, reason: settled.status === "rejected" ? settled.reason : undefined }),
    )) {
      expect(status).toBe("rejected");
      expect(reason).toMatchObject({ code: "unavailable" });
    }
    full = false;
    expect(await Promise.all(operations.map((each) => queue.submit(each)))).toEqual(["1", "2"]);
  });

  test("does not remember a failure that may pass", async () => {
    using database = temporaryDatabase();
    const { queue } = queueOn(database);
    let attempts = 0;
    const flaky: Operation<number> = {
      kind: "effect",
      request: request(),
      intend: () => async () => {
        attempts += 1;
        return await Promise.resolve(attempts === 1 ? failure(unavailable("not now")) : success(() => attempts));
      },
    };
    await expect(queue.submit(flaky)).rejects.toMatchObject({ code: "unavailable" });
    expect(await queue.submit(flaky)).toBe(2);
    expect(await queue.submit(flaky)).toBe(2);
  });

  test("executes what a worker may have died of alone, and sets it aside at the second death", async () => {
    using database = temporaryDatabase();
    let line = "";
    const note = {
      write(text: string) {
        line = text;
      },
    };
    const life = (parent = "one up") => {
      const crashGuard = new NotedCrashGuard({ database, parent, note, left: line });
      return { ...queueOn(database, { crashGuard }), crashGuard, said: crashGuard.settle() };
    };
    // As if the process had ended there: the next one finds its last note.
    const dies = (...requests: Request[]) => life().crashGuard.hold(requests);
    const [poison, bystander] = [metadataNamed("poison"), metadataNamed("bystander")];

    expect(life().said).toEqual([]);
    dies(poison.request, bystander.request);
    // With what had started it: the operation is not to blame.
    const next = life("the next up");
    expect(next.said).toEqual([]);
    next.crashGuard.hold([]);
    expect(listSetAside(database)).toEqual([]);
    dies(poison.request, bystander.request);
    const second = life();
    expect(second.said).toHaveLength(2);
    expect(second.said[0]).toContain("it is tried once more");
    const names = ["a", "b", "c"].map((name) => second.metadata(name));
    const before = second.counted.rounds;
    expect(await Promise.all([...names, bystander].map((each) => second.queue.submit(each)))).toHaveLength(4);
    expect(second.counted.rounds).toBe(before + 2);

    dies(poison.request);
    // The same death is counted once, also when the next worker dies before it could say so.
    expect(life().said).toHaveLength(1);
    const third = life();
    expect(third.said[0]).toContain("death 2): it is set aside");
    expect(listSetAside(database)).toMatchObject([{ operationId: poison.request.operationId, deaths: 2 }]);
    await expect(third.queue.submit(poison)).rejects.toMatchObject({ code: "internal" });
    expect(await third.queue.submit(bystander)).toBe("bystander");
    expect(await third.queue.submit(third.metadata("other"))).toBe("other");
    third.crashGuard.forgive();
    expect(await third.queue.submit(poison)).toBe("poison");
  });

  test("reconciles after an effect that is unknown, before the next operation", async () => {
    using database = temporaryDatabase();
    const { queue, diary, effect } = queueOn(database);
    const lost: Operation<never> = {
      kind: "effect",
      request: request(),
      intend: () => async () => await Promise.reject(new TypeError("a mistake")),
    };
    const outcomes = await Promise.allSettled([
      queue.submit(effect("a")),
      queue.submit(lost),
      queue.submit(effect("b")),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(diary.slice(-4)).toEqual(["reconcile", "b intended", "b acted", "b settled"]);
  });

  test("refuses what waits while the pool cannot be put in order, and tries again with the next", async () => {
    using database = temporaryDatabase();
    let broken = true;
    const { queue, metadata } = queueOn(database, {
      reconcile: async () =>
        await (broken ? Promise.reject(new Error("no pool")) : Promise.resolve({ lines: ["done"] })),
    });
    await expect(queue.submit(metadata("1"))).rejects.toMatchObject({ code: "unavailable" });
    await expect(queue.recover()).rejects.toThrow("no pool");
    broken = false;
    expect(await queue.recover()).toEqual({ lines: ["done"] });
    expect(await queue.submit(metadata("1"))).toBe("1");
  });

  test("whose pool was taken over writes nothing", async () => {
    using database = temporaryDatabase();
    const { queue, diary, metadata } = queueOn(database, {
      assertOwned: () => {
        throw aborted("taken over");
      },
    });
    await expect(queue.submit(metadata("1"))).rejects.toMatchObject({ code: "aborted", message: "taken over" });
    expect(diary).toEqual(["reconcile"]);
  });
});
