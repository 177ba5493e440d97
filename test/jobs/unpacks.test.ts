import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { failedPrecondition, type SnapmillError, unavailable } from "../../src/domain/errors.ts";
import { dashboardQueues } from "../../src/jobs/dashboard-queues.ts";
import { UnpackPublisher } from "../../src/jobs/outbox/unpack-publisher.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import {
  anId,
  anotherId,
  connect,
  consume,
  consumeUnpacks,
  failureOf,
  holder,
  image,
  pool,
  publishUnpacks,
  unpacked,
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

/** A pool's consumer that notes which unpacks it was asked to write down, and queues them. */
async function acceptUnpacks() {
  const accepted: string[] = [];
  const consumer = await consume(redis, {
    "accept-unpack": async (payload, job) => {
      accepted.push(...payload.requests.map(({ operationId, reference }) => `${operationId} ${reference}`));
      return await publishUnpacks(redis)(payload, job);
    },
  });
  return { accepted, [Symbol.asyncDispose]: () => consumer.closeNow() };
}

/** Leaves the unpack `anId` in the queue as one that has failed. */
async function failOnce(failure: SnapmillError): Promise<void> {
  await using _unpacks = await consumeUnpacks(redis, () => Promise.reject(failure));
  await withQueue(redis, "unpack", async (queue) => {
    await queue.add("unpack", { pool, operationId: anId, ...image }, { jobId: anId, attempts: 1 });
    await untilFinished(queue, anId);
  });
}

describe("an unpack", () => {
  test("is written down before it is queued, and answered with the image", async () => {
    await using acceptor = await acceptUnpacks();
    const order: string[] = [];
    await using _unpacks = await consumeUnpacks(redis, async ({ reference, platform }, { operationId }) => {
      order.push(...acceptor.accepted, `unpack ${operationId} ${reference} ${String(platform)}`);
      return unpacked;
    });
    await using client = await connect(redis);
    expect(await client.unpack(image, { operationId: anId })).toEqual(unpacked);
    expect(order).toEqual([`${anId} ${image.reference}`, `unpack ${anId} ${image.reference} ${image.platform}`]);
  });

  test("is settled without its caller, unless it has failed and a retry may help", async () => {
    await using client = await connect(redis);
    expect(await client.willBeSettled([])).toBe(false);
    // Its job is lost, and will be queued again from the outbox.
    expect(await client.willBeSettled([anId])).toBe(true);
    await failOnce(failedPrecondition("no such image"));
    expect(await client.willBeSettled([anId])).toBe(true);
    await redis.flush();
    await failOnce(unavailable("not now"));
    expect(await client.willBeSettled([anId])).toBe(false);
    expect(await client.willBeSettled([anId, anotherId])).toBe(true);
    await withQueue(redis, "unpack", async (queue) => {
      await queue.add("unpack", { pool, operationId: anotherId, ...image }, { jobId: anotherId, delay: 60_000 });
    });
    expect(await client.willBeSettled([anotherId])).toBe(true);
  });

  test("that cannot be written down is not queued", async () => {
    await using _consumer = await consume(redis, {
      "accept-unpack": () => {
        throw failedPrecondition("the pool is being reset");
      },
    });
    await using client = await connect(redis);
    expect((await failureOf(client.unpack(image))).message).toBe("the pool is being reset");
    expect((await client.counts()).unpack.waiting).toBe(0);
  });

  test("asked again while it runs, or when it has ended, is neither written down nor run again", async () => {
    await using acceptor = await acceptUnpacks();
    let runs = 0;
    const released = Promise.withResolvers<void>();
    await using _unpacks = await consumeUnpacks(redis, async () => {
      runs += 1;
      await released.promise;
      return unpacked;
    });
    await using client = await connect(redis);
    const first = client.unpack(image, { operationId: anId });
    await until(
      "it runs",
      () => runs,
      (state) => state === 1,
    );
    const second = client.unpack(image, { operationId: anId });
    released.resolve();
    expect(await Promise.all([first, second])).toEqual([unpacked, unpacked]);
    expect(await client.unpack(image, { operationId: anId })).toEqual(unpacked);
    expect([runs, acceptor.accepted.length]).toEqual([1, 1]);
  });

  test("that failed for a reason that passes is written down and run again when it is asked again", async () => {
    await failOnce(unavailable("busy"));
    const keptAtAcceptance: unknown[] = [];
    await using _acceptor = await consume(redis, {
      "accept-unpack": async (payload, job) => {
        keptAtAcceptance.push(await withQueue(redis, "unpack", (queue) => queue.getJob(anId)));
        return await publishUnpacks(redis)(payload, job);
      },
    });
    await using _unpacks = await consumeUnpacks(redis, async () => unpacked);
    await using client = await connect(redis);
    expect(await client.unpack(image, { operationId: anId })).toEqual(unpacked);
    // The failure is out of the way by then: the outbox would take it for the answer.
    expect(keptAtAcceptance).toEqual([undefined]);
  });

  test("that failed for good is neither recorded nor run again", async () => {
    await failOnce(failedPrecondition("damaged"));
    await using acceptor = await acceptUnpacks();
    await using _unpacks = await consumeUnpacks(redis, async () => unpacked);
    await using client = await connect(redis);
    expect((await failureOf(client.unpack(image, { operationId: anId }))).message).toBe("damaged");
    expect(acceptor.accepted).toEqual([]);
  });

  test("goes on when its caller walks away", async () => {
    await using _acceptor = await acceptUnpacks();
    await using client = await connect(redis);
    const controller = new AbortController();
    const call = failureOf(client.unpack(image, { operationId: anId, signal: controller.signal }));
    await untilCounts(client, { waiting: 1 }, "unpack");
    controller.abort();
    expect((await call).message).toContain("it may still happen");
    expect((await client.counts()).unpack.waiting).toBe(1);
  });

  test("is added to the queue once, by the pool's worker alone", async () => {
    await using _acceptor = await acceptUnpacks();
    await using _unpacks = await consumeUnpacks(redis, async () => unpacked);
    await using client = await connect(redis);
    await client.unpack(image);
    const events = await redis.command("XRANGE", `{snapmill:${pool}}:${pool}.unpack:events`, "-", "+");
    const names = JSON.stringify(events).match(/"(added|duplicated)"/g);
    expect(names).toEqual(['"added"']);
  });

  test("that Redis does not have is accepted again, as long as its caller waits", async () => {
    let acceptances = 0;
    await using _acceptor = await consume(redis, {
      "accept-unpack": async (payload, job) => {
        acceptances += 1;
        return acceptances === 1 ? {} : await publishUnpacks(redis)(payload, job);
      },
    });
    await using _unpacks = await consumeUnpacks(redis, async () => unpacked);
    await using client = await connect(redis);
    expect(await client.unpack(image)).toEqual(unpacked);
    expect(acceptances).toBe(2);
  });

  test("that Redis does not have, and whose acceptance is refused then, fails as its acceptance does", async () => {
    let acceptances = 0;
    await using _acceptor = await consume(redis, {
      "accept-unpack": async () => {
        acceptances += 1;
        if (acceptances > 1) throw failedPrecondition("cancelled by its caller");
        return {};
      },
    });
    await using client = await connect(redis);
    expect(await failureOf(client.unpack(image))).toMatchObject({
      code: "failed_precondition",
      message: "cancelled by its caller",
    });
  });

  test("of another image under the same operation ID is refused", async () => {
    await using _acceptor = await acceptUnpacks();
    await using _unpacks = await consumeUnpacks(redis, async () => unpacked);
    await using client = await connect(redis);
    await client.unpack(image, { operationId: anId });
    const failure = await failureOf(client.unpack({ ...image, reference: "oci:/other" }, { operationId: anId }));
    expect(failure.code).toBe("invalid_argument");
  });
});

describe("the publisher", () => {
  test("adds what Redis does not have, and tells how the rest stands", async () => {
    await using publisher = await UnpackPublisher.connect({ redisUrl: redis.url, pool, database: holder.database });
    const registry = { authFile: "/auth.json", plainHttp: true, maxBytesPerSecond: 1 };
    const entries = [anId, anotherId].map((operationId) => ({ operationId, ...image, registry }));
    expect(await publisher.enqueueUnpacks(entries.slice(0, 1))).toEqual([{ operationId: anId, state: "added" }]);
    expect(await publisher.enqueueUnpacks(entries)).toEqual([
      { operationId: anId, state: "present" },
      { operationId: anotherId, state: "added" },
    ]);
    const finished = new Set<string>();
    await using _unpacks = await consumeUnpacks(redis, async (payload, { operationId }) => {
      finished.add(operationId);
      expect(payload.registry).toEqual(registry);
      if (operationId === anotherId) throw failedPrecondition("damaged");
      return unpacked;
    });
    await using client = await connect(redis);
    await until(
      "both have ended",
      () => client.counts(),
      ({ unpack }) => unpack.completed + unpack.failed === 2,
    );
    const [first, second] = await publisher.enqueueUnpacks(entries);
    expect(first).toEqual({ operationId: anId, state: "completed", image: unpacked });
    expect(second).toMatchObject({ operationId: anotherId, state: "failed", failure: { code: "failed_precondition" } });
    expect(finished).toEqual(new Set([anId, anotherId]));
  });

  test("leaves alone what Redis has: no reader of the queue hears of it", async () => {
    await using publisher = await UnpackPublisher.connect({ redisUrl: redis.url, pool, database: holder.database });
    const entries = [anId, anotherId].map((operationId) => ({ operationId, ...image }));
    await publisher.enqueueUnpacks(entries);
    const events = `{snapmill:${pool}}:${pool}.unpack:events`;
    const before = await redis.command("XLEN", events);
    await publisher.enqueueUnpacks(entries);
    expect(await redis.command("XLEN", events)).toBe(before);
  });

  test("knows when Redis may have lost something: at first, when it was emptied, and when it was restarted", async () => {
    await using publisher = await UnpackPublisher.connect({ redisUrl: redis.url, pool, database: holder.database });
    expect([await publisher.mayHaveLost(), await publisher.mayHaveLost()]).toEqual([true, false]);
    await redis.flush();
    expect([await publisher.mayHaveLost(), await publisher.mayHaveLost()]).toEqual([true, false]);
    await redis.restart();
    await until("it has noticed", () => publisher.mayHaveLost().catch(() => false));
    expect(await publisher.mayHaveLost()).toBe(false);
  });

  test("runs a job without a valid result again, and still reports the entries beside it", async () => {
    await using publisher = await UnpackPublisher.connect({ redisUrl: redis.url, pool, database: holder.database });
    const entries = [anId, anotherId].map((operationId) => ({ operationId, ...image }));
    await publisher.enqueueUnpacks(entries);
    const key = `{snapmill:${pool}}:${pool}.unpack:${anId}`;
    await withQueue(redis, "unpack", async (queue) => {
      const completed = queue.toKey("completed");
      await redis.command("LREM", queue.toKey("wait"), "0", anId);
      await redis.command("ZADD", completed, "1", anId);
      await redis.command("HSET", key, "returnvalue", "{ no JSON", "finishedOn", "1");
    });
    expect(await publisher.enqueueUnpacks(entries)).toEqual([
      { operationId: anId, state: "added" },
      { operationId: anotherId, state: "present" },
    ]);
  });

  test("adds again what Redis lost, and says unavailable while Redis is away", async () => {
    await using publisher = await UnpackPublisher.connect({ redisUrl: redis.url, pool, database: holder.database });
    const entries = [{ operationId: anId, ...image }];
    await publisher.enqueueUnpacks(entries);
    await redis.flush();
    expect(await publisher.enqueueUnpacks(entries)).toEqual([{ operationId: anId, state: "added" }]);
    await redis.stop();
    expect((await failureOf(publisher.enqueueUnpacks(entries))).code).toBe("unavailable");
    await redis.start();
    expect(await publisher.enqueueUnpacks(entries)).toEqual([{ operationId: anId, state: "present" }]);
  });
});

test("the dashboard's queues are named after their pool, and all keys of a pool lie on one node of a cluster", async () => {
  await using _acceptor = await acceptUnpacks();
  await using _unpacks = await consumeUnpacks(redis, async () => unpacked);
  await using client = await connect(redis);
  await client.unpack(image, { operationId: anId });
  await using queues = await dashboardQueues(redis.url, pool);
  expect([queues.pool.name, queues.unpack.name]).toEqual(["test.pool.pool", "test.pool.unpack"]);
  expect((await queues.unpack.getJob(anId))?.returnvalue).toEqual(unpacked);
  const keys = await redis.command("KEYS", "*");
  expect(Array.isArray(keys) && keys.length > 5).toBe(true);
  const elsewhere = (keys as string[]).filter((key) => !key.startsWith("{snapmill:test.pool}:"));
  expect(elsewhere).toEqual(["{snapmill}:pools"]);
});
