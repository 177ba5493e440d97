// How removals of devices get into the queue, from an outbox that outlives Redis.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { unavailable } from "../../../src/domain/errors.ts";
import { deviceName, operationId } from "../../../src/domain/identifiers.ts";
import { RemovalPublisher } from "../../../src/jobs/outbox/removal-publisher.ts";
import { backoffMs, defaultRemovalPauses, removalPauseMs } from "../../../src/jobs/queues.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { anId, anotherId, connect, consume, holder, pool, untilCounts, untilLength, withQueue } from "../support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => redis.flush());
afterAll(() => redis[Symbol.asyncDispose]());

const entries = [
  { operationId: anId, device: deviceName(pool, 1) },
  { operationId: anotherId, device: deviceName(pool, 2) },
];
const connectPublisher = () =>
  RemovalPublisher.connect({ redisUrl: redis.url, pool, database: holder.database, attempts: 1 });

test("the pauses between the attempts of a removal add up to about an hour, and other jobs' do not", () => {
  const minutes = (pauseMs: (attempt: number) => number) =>
    Array.from({ length: 129 }, (_, index) => pauseMs(index + 1)).reduce((sum, ms) => sum + ms, 0) / 60_000;
  expect(minutes((attempt) => removalPauseMs(defaultRemovalPauses, anId, attempt))).toBeWithin(50, 70);
  expect(minutes((attempt) => backoffMs("pool", attempt))).toBeLessThan(15);
});

test("a removal is queued once, and again when Redis has lost it", async () => {
  const ran: string[] = [];
  await using _consumer = await consume(redis, {
    "remove-device": async ({ device }, { operationId }) => {
      ran.push(`${operationId} ${device}`);
      return {};
    },
  });
  await using publisher = await connectPublisher();
  await publisher.enqueue(entries);
  await publisher.enqueue(entries);
  await untilLength(ran, 2);
  expect(ran.toSorted()).toEqual([`${anId} test.pool-snap-1`, `${anotherId} test.pool-snap-2`]);
  await redis.flush();
  await publisher.enqueue(entries.slice(1));
  await untilLength(ran, 3);
});

test("given up, it stays failed until all start over; one that Redis takes for done runs again then, too", async () => {
  let isBusy = true;
  const ran: string[] = [];
  await using _consumer = await consume(redis, {
    "remove-device": async ({ device }) => {
      if (isBusy && device === deviceName(pool, 1)) throw unavailable("it is in use");
      ran.push(device);
      return {};
    },
  });
  await using client = await connect(redis);
  await using publisher = await connectPublisher();
  await publisher.enqueue(entries);
  await untilCounts(client, { failed: 1, completed: 1 });
  expect(await client.failedRemovals()).toMatchObject([{ ...entries[0], reason: "it is in use" }]);
  await publisher.enqueue(entries);
  expect(await client.failedRemovals()).toHaveLength(1);
  isBusy = false;
  expect(await publisher.startOver(entries)).toBe(1);
  await publisher.enqueue(entries);
  await untilLength(ran, 3);
  await withQueue(redis, "pool", async (queue) => {
    await until(
      "both are done",
      () => queue.getCompletedCount(),
      (count) => count === 2,
    );
  });
  expect(ran.toSorted()).toEqual(["test.pool-snap-1", "test.pool-snap-2", "test.pool-snap-2"]);
});

test("the list of what was given up can be read while that is tried again", async () => {
  const many = Array.from({ length: 40 }, (_, index) => ({
    operationId: operationId(`op-many-${index}`),
    device: deviceName(pool, index + 1),
  }));
  await using _consumer = await consume(redis, {
    "remove-device": async () => {
      throw unavailable("it is in use");
    },
  });
  await using client = await connect(redis);
  await using publisher = await connectPublisher();
  await publisher.enqueue(many);
  const untilAllAreGivenUp = () => untilCounts(client, { failed: many.length });
  for (let round = 0; round < 10; round += 1) {
    await untilAllAreGivenUp();
    const startedOver = publisher.startOver([]);
    const lists = await Promise.all(Array.from({ length: 5 }, () => client.failedRemovals()));
    await startedOver;
    for (const { reason } of lists.flat()) expect(reason).toBe("it is in use");
  }
  await untilAllAreGivenUp();
  expect(await client.failedRemovals()).toHaveLength(many.length);
});

test("damaged failed jobs hide no removal: each is reported as what it is", async () => {
  await using _consumer = await consume(redis, { "remove-device": () => Promise.reject(unavailable("it is in use")) });
  await using client = await connect(redis);
  await using publisher = await connectPublisher();
  await publisher.enqueue(entries.slice(0, 1));
  const key = (jobId: string) => `{snapmill:${pool}}:${pool}.pool:${jobId}`;
  const damaged: readonly (readonly [jobId: string, fields: readonly string[]])[] = [
    ["op-unknown-name", ["name", "remove-\u0000everything", "data", "{}"]],
    ["op-no-data", ["name", "remove-device"]],
    ["op-bad-data", ["name", "remove-device", "data", "{ no JSON"]],
    ["op-bad-payload", ["name", "remove-device", "data", '{"device":5}']],
    ["bad id", ["name", "remove-device", "data", JSON.stringify({ pool, ...entries[0] })]],
    ["op-no-name", ["data", "{}"]],
  ];
  for (const [jobId, fields] of damaged) {
    await redis.command("HSET", key(jobId), "failedReason", "why", "timestamp", "5", ...fields);
    await redis.command("ZADD", `{snapmill:${pool}}:${pool}.pool:failed`, "5", jobId);
  }
  await untilCounts(client, { failed: damaged.length + 1 });
  expect(await client.failedRemovals()).toMatchObject([{ ...entries[0], reason: "it is in use" }]);
  const found = await client.damagedJobs();
  expect(found.map(({ jobId }) => jobId).toSorted()).toEqual(damaged.map(([jobId]) => jobId).toSorted());
  expect(found.find(({ jobId }) => jobId === "op-unknown-name")?.damage).toContain("no job is called");
  expect(await publisher.startOver([])).toBe(1);
  await until(
    "the removal is given up again",
    () => client.failedRemovals(),
    ({ length }) => length === 1,
  );
});
