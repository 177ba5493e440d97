import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { AbortReason, abortReason } from "../../src/domain/cancellation.ts";
import { decodeFailure, failedPrecondition, unavailable } from "../../src/domain/errors.ts";
import { backoffMs } from "../../src/jobs/queues.ts";
import { maxJobBytes } from "../../src/jobs/stored-job.ts";
import type { JobContext } from "../../src/jobs/worker/job-context.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import {
  anId,
  anotherId,
  connect,
  consume,
  failureOf,
  pool,
  removal,
  type TestConsumer,
  untilCounts,
  untilFinished,
  withQueue,
} from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => redis.flush());
afterAll(() => redis[Symbol.asyncDispose]());

/** The failure of a job that was put into the queue by other means than the client. */
function failureOfJob(name: string, data: object) {
  return withQueue(redis, "pool", async (queue) => {
    await queue.add(name, data, { jobId: anId, attempts: 3 });
    await untilFinished(queue, anId);
    const job = await queue.getJob(anId);
    const { code, message } = decodeFailure(job?.failedReason ?? "");
    return { code, message, attempts: job?.attemptsMade };
  });
}

describe("a job that is none", () => {
  const payload = { ...removal, pool, operationId: anId };

  /** The failure of a job whose data in Redis is `data`, and whether its handler saw it. */
  async function failureOfData(data: string) {
    let isRun = false;
    await withQueue(redis, "pool", async (queue) => {
      await queue.add("remove", payload, { jobId: anId, attempts: 3 });
      await redis.command("HSET", queue.toKey(anId), "data", data);
    });
    await using consumer = await consume(redis, {
      remove: async () => {
        isRun = true;
        return {};
      },
    });
    await using client = await connect(redis);
    await untilCounts(client, { failed: 1 });
    // The worker goes on.
    expect(await client.call("remove", { ...removal, key: "other" })).toEqual({});
    const [failed] = await client.damagedJobs();
    expect(consumer.errors).toEqual([]);
    const reason = await redis.command("HGET", `{snapmill:${pool}}:${pool}.pool:${anId}`, "failedReason");
    return { code: decodeFailure(String(reason)).code, isRun: isRun && failed === undefined, damage: failed?.damage };
  }

  test("whose data is no JSON is failed without being run", async () => {
    expect(await failureOfData("{ no JSON")).toEqual({
      code: "invalid_argument",
      isRun: false,
      damage: "its data is not JSON",
    });
  });

  test("whose data is too long is failed without being parsed", async () => {
    const long = JSON.stringify({ ...payload, key: "k".repeat(maxJobBytes) });
    expect(await failureOfData(long)).toEqual({
      code: "invalid_argument",
      isRun: false,
      damage: `its data has ${long.length} bytes; the limit is ${maxJobBytes}`,
    });
  });

  test.each([
    ["has a payload of another shape", "remove", { ...payload, key: "" }, "key: "],
    ["has an unknown name", "format-disk", payload, '"format-disk"'],
    ["is of another pool", "remove", { ...payload, pool: "elsewhere" }, "for pool elsewhere"],
    ["is of another operation", "remove", { ...payload, operationId: anotherId }, `of operation ${anotherId}`],
    ["is an unpack, on the pool's own queue", "unpack", payload, '"unpack"'],
  ])("because it %s fails for good with invalid_argument", async (_, name, data, message) => {
    let runs = 0;
    await using _consumer = await consume(redis, {
      remove: async () => {
        runs += 1;
        return {};
      },
    });
    const failure = await failureOfJob(name, data);
    expect([failure.code, failure.attempts, runs]).toEqual(["invalid_argument", 1, 0]);
    expect(failure.message).toContain(message);
  });
});

test("a handler that answers nonsense fails its job with internal", async () => {
  await using _consumer = await consume(redis, { cleanup: async () => ({ removedDevices: "many" }) as never });
  await using client = await connect(redis);
  const failure = await failureOf(client.call("cleanup", {}));
  expect(failure.code).toBe("internal");
  expect(failure.message).toContain("cleanup was answered with nonsense: removedDevices");
});

test("a job that killed too many workers fails without being executed", async () => {
  let runs = 0;
  const remove = async () => {
    runs += 1;
    return {};
  };
  await withQueue(redis, "pool", async (queue) => {
    await queue.pause();
    await queue.add("remove", { ...removal, pool, operationId: anId }, { jobId: anId });
    // What BullMQ notes of a job that stalled once too often.
    await redis.command("HSET", queue.toKey(anId), "defa", "job stalled more than allowable limit");
    await queue.resume();
    await using _consumer = await consume(redis, { remove });
    await untilFinished(queue, anId);
    expect((await queue.getJob(anId))?.failedReason).toContain("stalled more than allowable limit");
  });
  expect(runs).toBe(0);
});

test("pauses between attempts double up to a cap, and differ by chance", () => {
  for (const [attempt, fullMs] of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].entries()) {
    const pauses = Array.from({ length: 100 }, () => backoffMs("pool", attempt + 1));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(fullMs / 2);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(fullMs);
    expect(new Set(pauses).size).toBeGreaterThan(10);
  }
});

test("a job that is tried again goes behind the others: callers cannot rely on the order", async () => {
  const order: string[] = [];
  await using client = await connect(redis);
  const calls = ["first", "second", "third"].map(async (key) => {
    await client.call("remove", { scope: "s", key });
  });
  await untilCounts(client, { waiting: 3 });
  await using _consumer = await consume(
    redis,
    {
      remove: async ({ key }, { attempt }) => {
        order.push(`${key} ${attempt}`);
        if (key === ("first" as string) && attempt === 1) throw unavailable("not yet");
        return {};
      },
    },
    { concurrency: 1 },
  );
  await Promise.all(calls);
  expect(order).toEqual(["first 1", "second 1", "third 1", "first 2"]);
});

test("two consumers of one pool together run no more jobs at once than one may", async () => {
  let running = 0;
  let most = 0;
  const remove = async () => {
    running += 1;
    most = Math.max(most, running);
    await Bun.sleep(20);
    running -= 1;
    return {};
  };
  await using _one = await consume(redis, { remove }, { concurrency: 1 });
  await using _other = await consume(redis, { remove }, { concurrency: 1 });
  await using client = await connect(redis);
  await Promise.all(Array.from({ length: 20 }, () => client.call("remove", removal)));
  expect(most).toBe(1);
});

test("jobs that come one at a time are not each followed by looks in vain for more; those that wait are taken together", async () => {
  let running = 0;
  let most = 0;
  await using _consumer = await consume(redis, {
    remove: async () => {
      running += 1;
      most = Math.max(most, running);
      await Bun.sleep(running === 1 ? 0 : 50);
      running -= 1;
      return {};
    },
  });
  await using client = await connect(redis);
  await client.call("remove", removal);
  await redis.command("CONFIG", "RESETSTAT");
  const alone = 200;
  for (let index = 0; index < alone; index += 1) await client.call("remove", removal);
  expect(most).toBe(1);
  const [, scripts] = /^cmdstat_evalsha:calls=(\d+)/m.exec(String(await redis.command("INFO", "commandstats"))) ?? [];
  // To add it, to take it, to end it; and BullMQ's marker of a job taken has it look once more at most.
  expect(Number(scripts)).toBeWithin(3 * alone, 4.3 * alone);
  await Promise.all(Array.from({ length: 20 }, () => client.call("remove", removal)));
  expect(most).toBeGreaterThan(1);
});

test("a consumer that is closed finishes what runs, and takes nothing new", async () => {
  const released = Promise.withResolvers<void>();
  const finished: string[] = [];
  const consumer = await consume(
    redis,
    {
      remove: async (_, { operationId }) => {
        await released.promise;
        finished.push(operationId);
        return {};
      },
    },
    { concurrency: 1 },
  );
  await using client = await connect(redis);
  const first = client.call("remove", removal, { operationId: anId });
  await untilCounts(client, { active: 1 });
  const second = failureOf(client.call("remove", removal, { operationId: anotherId, deadlineMs: 2_000 }));
  await untilCounts(client, { active: 1, waiting: 1 });
  const closed = consumer.close();
  released.resolve();
  await closed;
  expect(finished).toEqual([anId]);
  expect(await first).toEqual({});
  expect((await second).code).toBe("deadline_exceeded");
  expect((await client.counts()).pool.waiting).toBe(1);
});

test("a consumer that is closed now gives its job back at once, and no attempt is counted", async () => {
  const reasons: unknown[] = [];
  let runs = 0;
  const consumer = await consume(redis, {
    remove: (_, { signal }) => {
      runs += 1;
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => reject(unavailable("interrupted")));
      signal.addEventListener("abort", () => reasons.push(signal.reason));
      return promise;
    },
  });
  await using client = await connect(redis);
  const call = client.call("remove", removal);
  await until(
    "the job runs",
    () => runs,
    (state) => state === 1,
  );
  await consumer.closeNow();
  expect(reasons).toEqual([new AbortReason("stopping", "this worker is being stopped")]);
  const attempts: number[] = [];
  await using _next = await consume(redis, {
    remove: async (_, { attempt }) => {
      attempts.push(attempt);
      return {};
    },
  });
  expect(await call).toEqual({});
  expect(attempts).toEqual([1]);
});

describe("a failure says nothing about the job", () => {
  /** Runs a job whose first run ends with a final failure as soon as its signal aborts, because of `disturb`. */
  async function failAtFirst(disturb: (consumer: TestConsumer) => Promise<unknown>) {
    const kinds: unknown[] = [];
    const handler = async (_: unknown, { signal }: JobContext) => {
      if (kinds.length > 0) return {};
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      kinds.push(abortReason(signal)?.kind);
      throw failedPrecondition("this looks final");
    };
    await using first = await consume(redis, { remove: handler });
    await using client = await connect(redis);
    const call = client.call("remove", removal, { operationId: anId });
    await untilCounts(client, { active: 1 });
    await disturb(first);
    await using _next = await consume(redis, { remove: handler });
    expect(await call).toEqual({});
    const attempts = await withQueue(redis, "pool", async (queue) => (await queue.getJob(anId))?.attemptsMade);
    return { kind: kinds[0], attempts };
  }

  test("when its worker is being stopped", async () => {
    expect(await failAtFirst((consumer) => consumer.closeNow())).toEqual({ kind: "stopping", attempts: 1 });
  });

  test("when the lock on it was lost", async () => {
    const lock = `{snapmill:${pool}}:${pool}.pool:${anId}:lock`;
    expect(await failAtFirst(() => redis.command("DEL", lock))).toEqual({ kind: "lock_lost", attempts: 1 });
  });
});

test("a handler can ask whether the job is still its own before it makes a failure final", async () => {
  const answers: unknown[] = [];
  await using _consumer = await consume(redis, {
    remove: async (_, job) => {
      if (answers.length > 0) return {};
      answers.push(await job.requireOwn());
      await redis.flush();
      answers.push((await failureOf(job.requireOwn())).message);
      return {};
    },
  });
  await using client = await connect(redis);
  expect(await client.call("remove", removal)).toEqual({});
  expect(answers).toEqual([undefined, "this worker's lock on the job has run out"]);
});

test("a handler's signal aborts when its job is taken from it", async () => {
  const reasons: unknown[] = [];
  await using consumer = await consume(redis, {
    remove: async (_, { signal }) => {
      await until("the signal aborts", () => signal.aborted);
      reasons.push(signal.reason);
      return {};
    },
  });
  await using client = await connect(redis);
  const call = client.call("remove", removal).catch(() => undefined);
  await untilCounts(client, { active: 1 });
  // No client asks for the job again, so this worker does not get it a second time.
  await client[Symbol.asyncDispose]();
  await call;
  await redis.flush();
  await until(
    "the handler has seen it",
    () => reasons,
    ({ length }) => length > 0,
  );
  expect(reasons[0]).toEqual(new AbortReason("lock_lost", "this worker's lock on the job is lost"));
  expect(consumer.errors.map(({ message }) => message).join()).toContain("could not renew lock");
});

test("a job runs in the process and thread of its consumer: BullMQ's files for jobs do not work in a compiled program", async () => {
  const here = () => [process.pid, Bun.isMainThread];
  const places: unknown[] = [];
  const remove = async () => {
    places.push(here());
    return {};
  };
  await using _consumer = await consume(redis, { remove });
  await using client = await connect(redis);
  await client.call("remove", removal);
  expect(places).toEqual([here()]);
});
