import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { errorCodes, isRetryable, SnapmillError, unavailable } from "../../src/domain/errors.ts";
import { freshOperationId, poolName } from "../../src/domain/identifiers.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { anId, anotherId, connect, consume, failureOf, pool, removal, untilCounts, withQueue } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => redis.flush());
afterAll(() => redis[Symbol.asyncDispose]());

describe("a call", () => {
  test("brings the payload to the handler and the result back", async () => {
    const seen: unknown[] = [];
    await using _consumer = await consume(redis, {
      prepare: async (payload, { operationId, attempt }) => {
        seen.push({ ...payload, attempt, sameId: operationId === payload.operationId });
        return { mounts: [{ type: "ext4", source: "/dev/x", options: ["rw"] }] };
      },
    });
    await using client = await connect(redis);
    const given = { scope: "s", key: "a/b c", parent: "p", labels: { l: "v" } };
    const result = await client.call("prepare", given, { operationId: anId });
    expect(result).toEqual({ mounts: [{ type: "ext4", source: "/dev/x", options: ["rw"] }] });
    expect(seen).toEqual([{ ...given, pool, operationId: anId, attempt: 1, sameId: true }]);
  });

  test("with a payload that is none never reaches the queue", async () => {
    await using client = await connect(redis);
    const failure = await failureOf(client.call("remove", { scope: "", key: "" }));
    expect(failure.code).toBe("invalid_argument");
    expect((await client.counts()).pool.waiting).toBe(0);
  });

  test("that is too large never reaches the queue", async () => {
    await using client = await connect(redis);
    const labels = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`l${index}`, "\u0001".repeat(1_000)]));
    const given = { ...removal, labels, name: "n", parent: "p" };
    const requests = Array.from({ length: 800 }, (_, index) => ({
      operationId: `op-many-${index}`,
      reference: `oci:/${"\u0001".repeat(1_000)}`,
      platform: "linux/amd64",
    }));
    expect((await failureOf(client.call("accept-unpack", { requests }))).message).toContain(
      "accept-unpack is too large",
    );
    // What labels may have in all fits, however it is written down.
    const commit = failureOf(client.call("commit", given, { deadlineMs: 100 }));
    expect((await commit).code).toBe("deadline_exceeded");
    expect((await client.counts()).pool.waiting).toBe(1);
  });

  test.each(errorCodes.filter((code) => !isRetryable(code)))(
    "that fails with %s is run once and fails so here",
    async (code) => {
      let runs = 0;
      await using _consumer = await consume(redis, {
        remove: () => {
          runs += 1;
          throw new SnapmillError(code, `because of ${code} – "quoted"`);
        },
      });
      await using client = await connect(redis);
      const failure = await failureOf(client.call("remove", removal));
      expect(failure.code).toBe(code);
      expect(failure.message).toBe(`because of ${code} – "quoted"`);
      expect(runs).toBe(1);
    },
  );

  test("whose handler throws without a code is internal, and the consumer's owner hears of it", async () => {
    await using consumer = await consume(redis, {
      remove: () => {
        throw new TypeError("x is not a function");
      },
    });
    await using client = await connect(redis);
    const failure = await failureOf(client.call("remove", removal));
    expect(failure.code).toBe("internal");
    expect(failure.message).toBe("x is not a function");
    expect(consumer.errors.map((error) => error.message)).toEqual(["x is not a function"]);
  });

  test("that fails with a retryable code is tried again until it succeeds", async () => {
    const attempts: number[] = [];
    await using _consumer = await consume(redis, {
      remove: async (_, { attempt }) => {
        attempts.push(attempt);
        if (attempt < 4) throw unavailable("not yet");
        return {};
      },
    });
    await using client = await connect(redis);
    expect(await client.call("remove", removal)).toEqual({});
    expect(attempts).toEqual([1, 2, 3, 4]);
  });

  test("that never succeeds ends with the last failure", async () => {
    let runs = 0;
    await using _consumer = await consume(redis, {
      remove: () => {
        runs += 1;
        throw unavailable(`busy, ${runs}`);
      },
    });
    await using client = await connect(redis);
    const failure = await failureOf(client.call("remove", removal));
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toBe(`busy, ${runs}`);
    expect(runs).toBe(6);
  }, 60_000);
});

describe("an operation ID", () => {
  test("used by 64 callers at once has one effect and one answer", async () => {
    let effects = 0;
    await using _consumer = await consume(redis, {
      cleanup: async () => {
        effects += 1;
        await Bun.sleep(50);
        return { removedDevices: effects, removedSnapshots: 7 };
      },
    });
    await using one = await connect(redis);
    await using other = await connect(redis);
    const clients = Array.from({ length: 64 }, (_, index) => (index % 2 === 0 ? one : other));
    const answers = await Promise.all(clients.map((client) => client.call("cleanup", {}, { operationId: anId })));
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(
      new Set(['{"removedDevices":1,"removedSnapshots":7}']),
    );
    expect(effects).toBe(1);
  });

  test("that is kept as completed answers its kept result (adding it again is silently ignored by the queue)", async () => {
    let runs = 0;
    await using _consumer = await consume(redis, {
      cleanup: async () => {
        runs += 1;
        return { removedDevices: runs, removedSnapshots: 0 };
      },
    });
    await using client = await connect(redis);
    const first = await client.call("cleanup", {}, { operationId: anId });
    await using later = await connect(redis);
    expect(await later.call("cleanup", {}, { operationId: anId })).toEqual(first);
    expect(runs).toBe(1);
  });

  test("that is kept as failed for good answers the same failure", async () => {
    let runs = 0;
    await using _consumer = await consume(redis, {
      remove: () => {
        runs += 1;
        throw new SnapmillError("not_found", `run ${runs}`);
      },
    });
    await using client = await connect(redis);
    await failureOf(client.call("remove", removal, { operationId: anId }));
    const again = await failureOf(client.call("remove", removal, { operationId: anId }));
    expect([again.code, again.message, runs]).toEqual(["not_found", "run 1", 1]);
  });

  test("that is kept as failed with a retryable code is tried again, by however many callers", async () => {
    let isBusy = true;
    let runs = 0;
    await using _consumer = await consume(redis, {
      remove: async () => {
        runs += 1;
        if (isBusy) throw unavailable("busy");
        return {};
      },
    });
    await using client = await connect(redis);
    await failureOf(client.call("remove", removal, { operationId: anId }));
    isBusy = false;
    const runsBefore = runs;
    const callers = Array.from({ length: 16 }, () => client.call("remove", removal, { operationId: anId }));
    expect(await Promise.all(callers)).toEqual(callers.map(() => ({})));
    expect(runs).toBe(runsBefore + 1);
  }, 60_000);

  test("cannot be used for other arguments or another job", async () => {
    await using _consumer = await consume(redis, { remove: async () => ({}), commit: async () => ({}) });
    await using client = await connect(redis);
    await client.call("remove", removal, { operationId: anId });
    const otherKey = await failureOf(client.call("remove", { ...removal, key: "other" }, { operationId: anId }));
    const commit = { scope: "test", key: "k", name: "n", labels: {} };
    const otherJob = await failureOf(client.call("commit", commit, { operationId: anId }));
    expect([otherKey.code, otherJob.code]).toEqual(["invalid_argument", "invalid_argument"]);
    expect(otherKey.message).toContain(`operation ID ${anId} was used for a remove`);
  });

  test("is the same for labels in another order", async () => {
    await using _consumer = await consume(redis, { prepare: async () => ({ mounts: [] }) });
    await using client = await connect(redis);
    const prepare = (labels: Record<string, string>) =>
      client.call("prepare", { scope: "s", key: "k", labels }, { operationId: anId });
    await prepare({ a: "1", b: "2" });
    expect(await prepare({ b: "2", a: "1" })).toEqual({ mounts: [] });
  });

  test("is the job's ID, which the queue would refuse if it were a digest or a number", async () => {
    await using client = await connect(redis);
    const call = client.call("remove", removal, { operationId: anotherId }).catch(() => undefined);
    await untilCounts(client, { waiting: 1 });
    const job = await withQueue(redis, "pool", (queue) => queue.getJob(anotherId));
    expect(job?.data).toEqual({ ...removal, pool, operationId: anotherId });
    await client[Symbol.asyncDispose]();
    await call;
    const refusal = (jobId: string) =>
      withQueue(redis, "pool", (queue) => queue.add("remove", {}, { jobId }).then(() => "taken", String));
    expect(await refusal("12345")).toContain("Custom Id cannot be integers");
    expect(await refusal("sha256:00")).toContain("Custom Id cannot contain :");
  });
});

test("many results at once all come back, and stay for a while (none is removed before it was seen)", async () => {
  await using _consumer = await consume(
    redis,
    { prepare: async ({ key }) => ({ mounts: [{ type: "ext4", source: key, options: [] }] }) },
    { concurrency: 32 },
  );
  await using client = await connect(redis);
  const keys = Array.from({ length: 2_000 }, (_, index) => `key ${index}`);
  const results = await Promise.all(keys.map((key) => client.call("prepare", { scope: "s", key, labels: {} })));
  expect(results.map(({ mounts }) => String(mounts[0]?.source))).toEqual(keys);
  expect((await client.counts()).pool.completed).toBe(2_000);
}, 60_000);

test("calls of two pools do not meet", async () => {
  await using _consumer = await consume(redis, { remove: async () => ({}) });
  await using elsewhere = await JobClient.connect({ redisUrl: redis.url, pool: poolName("other") });
  const options = { operationId: freshOperationId(), deadlineMs: 500 };
  expect((await failureOf(elsewhere.call("remove", removal, options))).code).toBe("deadline_exceeded");
});
