import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { AbortReason, Canceller } from "../../../src/domain/cancellation.ts";
import type { SnapmillError } from "../../../src/domain/errors.ts";
import { freshOperationId } from "../../../src/domain/identifiers.ts";
import { JobClient } from "../../../src/jobs/requests/client.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { anId, connect, consume, failureOf, pool, removal, untilCounts, untilLength, withQueue } from "../support.ts";

let redis: TestRedis;
beforeEach(async () => {
  await redis?.[Symbol.asyncDispose]();
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

/** Generous: only a hang is a failure, and the machine may be busy. */
const soonMs = 10_000;

describe("with Redis away", () => {
  test(
    "connecting is answered with unavailable and does not hang",
    async () => {
      await redis.stop();
      const failure = await failureOf(connect(redis));
      expect(failure.code).toBe("unavailable");
      expect(failure.message).toContain("start 'snapmill up' or what serves this socket, or set REDIS_URL");
    },
    soonMs,
  );

  test("a call fails with unavailable and does not hang, and the client recovers", async () => {
    await using client = await connect(redis);
    await redis.kill();
    const failures = await Promise.all([
      failureOf(client.call("remove", removal)),
      failureOf(client.call("remove", removal, { operationId: anId })),
      failureOf(client.unpack({ reference: "oci:/a", platform: "linux/amd64" })),
      failureOf(client.counts()),
    ]);
    expect(failures.map(({ code }) => code)).toEqual(failures.map(() => "unavailable"));
    await redis.start();
    await using _consumer = await consume(redis, { remove: async () => ({}) });
    expect(await client.call("remove", removal, { operationId: anId })).toEqual({});
  });

  test("a thousand calls are all answered with unavailable", async () => {
    await using client = await connect(redis);
    await redis.kill();
    const calls = Array.from({ length: 1_000 }, () => failureOf(client.call("remove", removal)));
    expect(new Set((await Promise.all(calls)).map(({ code }) => code))).toEqual(new Set(["unavailable"]));
  });

  test("a consumer finishes its job, and closes", async () => {
    const { promise: release, resolve } = Promise.withResolvers<void>();
    let state = "none";
    const consumer = await consume(redis, {
      remove: async () => {
        state = "runs";
        await release;
        state = "finished";
        return {};
      },
    });
    const client = await connect(redis);
    const call = failureOf(client.call("remove", removal));
    await until(
      "the job runs",
      () => state,
      (state) => state === "runs",
    );
    await redis.kill();
    expect((await call).code).toBe("unavailable");
    const closed = consumer.close();
    resolve();
    await closed;
    expect(state).toBe("finished");
    await client[Symbol.asyncDispose]();
  });
});

describe("a client that has patience", () => {
  test("is answered in spite of an outage, once and by one operation ID, and tells of it once", async () => {
    const told: string[] = [];
    const patience = { outageMs: 60_000, onOutage: ({ code }: SnapmillError) => void told.push(code) };
    await redis.stop();
    const connecting = JobClient.connect({ redisUrl: redis.url, pool, patience });
    await untilLength(told, 1);
    await redis.start();
    await using client = await connecting;
    const operations = new Set<string>();
    const { promise: release, resolve } = Promise.withResolvers<void>();
    await using _consumer = await consume(redis, {
      remove: async (_, { operationId }) => {
        operations.add(operationId);
        await release;
        return {};
      },
    });
    const calls = [client.call("remove", removal), client.call("remove", removal)];
    await until(
      "one runs",
      () => operations,
      ({ size }) => size === 1,
    );
    await redis.kill();
    await until(
      "it has noticed",
      () => told,
      ({ length }) => length > 1,
    );
    const counting = client.counts();
    await redis.start();
    resolve();
    expect(await Promise.all(calls)).toEqual([{}, {}]);
    expect((await counting).pool.failed).toBe(0);
    expect(operations.size).toBe(2);
    expect(told).toEqual(["unavailable", "unavailable"]);
  });

  test("is answered with unavailable when patience ends, and with its own reason when it is given up", async () => {
    await using client = await JobClient.connect({ redisUrl: redis.url, pool, patience: { outageMs: 500 } });
    await redis.stop();
    const canceller = new Canceller();
    const reason = new AbortReason("interrupted", "enough");
    const patience = { outageMs: 60_000, onOutage: () => canceller.cancel(reason) };
    const connecting = JobClient.connect({ redisUrl: redis.url, pool, patience }, canceller.signal);
    const givenUp = failureOf(connecting);
    expect((await failureOf(client.call("remove", removal))).code).toBe("unavailable");
    expect(await givenUp).toBe(reason);
  });

  test(
    "does not wait for a Redis that refuses its sign-in",
    async () => {
      await redis.command("CONFIG", "SET", "requirepass", "hidden-word");
      const told: string[] = [];
      const patience = { outageMs: 60_000, onOutage: ({ message }: SnapmillError) => void told.push(message) };
      const failure = await failureOf(JobClient.connect({ redisUrl: redis.url, pool, patience }));
      expect(failure.message).toMatch(/wants a password \(NOAUTH .*\): put it into REDIS_URL/);
      expect(told).toEqual([]);
    },
    soonMs,
  );
});

describe("a call that waits", () => {
  test("learns soon that Redis is away, and how to retry; the retry gets the answer", async () => {
    const { promise: release, resolve } = Promise.withResolvers<void>();
    const operations: string[] = [];
    await using _consumer = await consume(redis, {
      remove: async (_, { operationId }) => {
        operations.push(operationId);
        await release;
        return {};
      },
    });
    await using client = await connect(redis);
    const call = failureOf(client.call("remove", removal, { operationId: anId }));
    await untilLength(operations, 1);
    await redis.kill();
    const failure = await call;
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toBe(
      `Redis went away while remove ${anId} was waited for; it may still happen: ask again with the same operation ID`,
    );
    await redis.start();
    resolve();
    expect(await client.call("remove", removal, { operationId: anId })).toEqual({});
    expect(new Set(operations)).toEqual(new Set([anId]));
  });

  test("learns soon that Redis hangs", async () => {
    await using client = await connect(redis);
    const call = failureOf(client.call("remove", removal));
    await untilCounts(client, { waiting: 1 });
    await redis.pause();
    const others = [failureOf(client.call("remove", removal)), failureOf(client.counts())];
    expect((await Promise.all([call, ...others])).map(({ code }) => code)).toEqual(
      others.concat(call).map(() => "unavailable"),
    );
    await redis.resume();
    expect((await client.counts()).pool.waiting).toBeGreaterThanOrEqual(1);
  });

  test("outlives a Redis that is restarted in the middle", async () => {
    const released = Promise.withResolvers<void>();
    await using _consumer = await consume(redis, {
      cleanup: async () => {
        await released.promise;
        return { removedDevices: 1, removedSnapshots: 2 };
      },
    });
    await using client = await connect(redis);
    const calls = Array.from({ length: 20 }, () =>
      client.call("cleanup", {}, { operationId: freshOperationId() }).catch((error: Error) => error.message),
    );
    await until(
      "jobs run",
      () => client.counts(),
      ({ pool }) => pool.active > 0,
    );
    await redis.restart();
    released.resolve();
    expect(await Promise.all(calls)).toEqual(calls.map(() => ({ removedDevices: 1, removedSnapshots: 2 })));
  });

  test("asks again for a job that Redis lost (FLUSHALL in the middle)", async () => {
    await using client = await connect(redis);
    const call = client.call("remove", removal, { operationId: anId });
    await untilCounts(client, { waiting: 1 });
    await redis.flush();
    const operations: string[] = [];
    await using _consumer = await consume(redis, {
      remove: async (_, { operationId }) => {
        operations.push(operationId);
        return {};
      },
    });
    expect(await call).toEqual({});
    expect(operations).toEqual([anId]);
  });

  test("gets its answer though Redis lost the job while it ran alone; handed out again, it is run by the same operation ID", async () => {
    const operations: string[] = [];
    const released = Promise.withResolvers<void>();
    await using _consumer = await consume(redis, {
      cleanup: async (_, { operationId }) => {
        operations.push(operationId);
        await released.promise;
        return { removedDevices: 1, removedSnapshots: 0 };
      },
    });
    await using client = await connect(redis);
    const call = client.call("cleanup", {}, { operationId: anId });
    await untilLength(operations, 1);
    await redis.flush();
    await untilCounts(client, { waiting: 1 });
    released.resolve();
    expect(await call).toEqual({ removedDevices: 1, removedSnapshots: 0 });
    expect(operations).toEqual([anId, anId]);
  });

  test("gets its answer though Redis lost the job while it ran; handed out again to a worker that takes several, it joins the run", async () => {
    const operations: string[] = [];
    const isFollowed = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    await using _consumer = await consume(redis, {
      cleanup: async (_, { operationId }) => {
        operations.push(operationId);
        await released.promise;
        return { removedDevices: operations.length, removedSnapshots: 0 };
      },
      remove: () => isFollowed.promise.then(() => ({})),
    });
    await using client = await connect(redis);
    // A worker takes several jobs as soon as one had to wait for another.
    const ahead = client.call("remove", removal);
    const call = client.call("cleanup", {}, { operationId: anId });
    await untilCounts(client, { waiting: 1 });
    isFollowed.resolve();
    await ahead;
    await untilLength(operations, 1);
    await redis.flush();
    await untilCounts(client, { active: 1 });
    // This job was handed out later and is done: the other one has reached the consumer.
    await client.call("remove", removal);
    released.resolve();
    expect(await call).toEqual({ removedDevices: 1, removedSnapshots: 0 });
    expect(operations).toEqual([anId]);
  });

  test("gets its answer though Redis lost the job and another worker runs it meanwhile, by the same operation ID", async () => {
    const operations: string[] = [];
    const remove = async (_: unknown, { operationId }: { operationId: string }) => {
      operations.push(operationId);
      if (operations.length === 1) await new Promise(() => undefined);
      return {};
    };
    await using _hanging = await consume(redis, { remove }, { concurrency: 1 });
    await using client = await connect(redis);
    const call = client.call("remove", removal, { operationId: anId });
    await untilLength(operations, 1);
    await using _other = await consume(redis, { remove }, { concurrency: 1 });
    await redis.flush();
    expect(await call).toEqual({});
    expect(operations).toEqual([anId, anId]);
  });

  test("gets its answer though its event was lost", async () => {
    const released = Promise.withResolvers<void>();
    let runs = 0;
    await using _consumer = await consume(redis, {
      remove: async () => {
        runs += 1;
        await released.promise;
        return {};
      },
    });
    await using client = await connect(redis);
    const call = client.call("remove", removal);
    await until(
      "the job runs",
      () => runs,
      (state) => state === 1,
    );
    // The reader goes on after the last event it saw: one from the far future hides all that come from now on.
    const events = `{snapmill:${pool}}:${pool}.pool:events`;
    await redis.command("XADD", events, `${Date.now() + 1e9}-0`, "event", "none");
    // Redis has woken the reader before it answers the next command: when the reader waits again, it has seen the event.
    await until("the reader waits for more", () => isReaderWaiting(redis));
    await redis.command("DEL", events);
    released.resolve();
    expect(await call).toEqual({});
    await until("the reader has ended", async () => !(await isReaderWaiting(redis)));
    // The next one does without a look at the job's state, of which the first comes after a second: its event is seen.
    expect(await client.call("remove", removal, { deadlineMs: 900 })).toEqual({});
  });
});

test("a consumer goes on after an outage, and says again how many may run at once after Redis was emptied", async () => {
  await using consumer = await consume(redis, { remove: async () => ({}) }, { concurrency: 3 });
  await redis.kill();
  await redis.start();
  await redis.flush();
  await using client = await connect(redis);
  expect(await client.call("remove", removal)).toEqual({});
  const meta = `{snapmill:${pool}}:${pool}.pool:meta`;
  await until(
    "the limit is back",
    () => redis.command("HGET", meta, "concurrency"),
    (concurrency) => concurrency === "3",
  );
  await withQueue(redis, "pool", async (queue) => expect(await queue.getGlobalConcurrency()).toBe(3));
  await consumer.close();
});

/** Whether the reader of events has been given all there is, and waits for more. */
async function isReaderWaiting(server: TestRedis): Promise<boolean> {
  return /^.*\bflags=\w*b.*\bcmd=xread\b/m.test(String(await server.command("CLIENT", "LIST")));
}
