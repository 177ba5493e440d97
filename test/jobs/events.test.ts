import { afterAll, beforeAll, expect, spyOn, test } from "bun:test";
import { Redis } from "ioredis";
import { keyPrefix, queueName } from "../../src/jobs/queues.ts";
import { producerConnection } from "../../src/jobs/redis/connection.ts";
import { EventReader } from "../../src/jobs/requests/event-reader.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { anId, connect, consume, pool, removal, untilCounts } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

test("the first completion event is not lost, not even one from before the reader began to read", async () => {
  await using _consumer = await consume(redis, { cleanup: async () => ({ removedDevices: 1, removedSnapshots: 2 }) });
  await using client = await connect(redis);
  await client.call("cleanup", {}, { operationId: anId });

  const seen: unknown[] = [];
  const source = { pool, kind: "pool", isNeeded: () => seen.length === 0 } as const;
  using reader = new EventReader(redis.url, source, {
    completed: (jobId, result) => void seen.push([jobId, result]),
    failed: () => undefined,
    progress: () => undefined,
  });
  reader.wake();
  await until(
    "the event arrives",
    () => seen,
    ({ length }) => length > 0,
  );
  expect(seen).toEqual([[anId, { removedDevices: 1, removedSnapshots: 2 }]]);
});

test("of a job that takes its time, the reader fetches what precedes the end at once", async () => {
  using read = spyOn(Redis.prototype, "xread");
  let jobId = "";
  let isOver = false;
  using taken = new DisposableStack();
  const worker = taken.adopt(producerConnection(redis.url), (connection) => connection.disconnect());
  const add = (event: string) =>
    worker.xadd(`${keyPrefix(pool)}:${queueName(pool, "pool")}:events`, "*", "event", event, "jobId", jobId);
  const source = { pool, kind: "pool", isNeeded: () => !isOver } as const;
  using reader = new EventReader(redis.url, source, {
    completed: (ended) => {
      isOver = ended === jobId;
    },
    failed: () => undefined,
    progress: () => undefined,
  });
  const readsOfEach: number[] = [];
  for (let round = 0; round < 31; round += 1) {
    read.mockClear();
    jobId = `round-${round}`;
    isOver = false;
    reader.wake();
    for (const event of ["waiting", "active"]) await add(event);
    await Bun.sleep(10);
    await add("completed");
    await until("the end is told", () => isOver);
    readsOfEach.push(read.mock.calls.length);
    // Until the next round no call waits, and nothing is read.
    await Bun.sleep(5);
  }
  // The machine may be busy, and the second event late, in some rounds.
  expect(readsOfEach.toSorted((one, other) => one - other)[15]).toBe(2);
});

test("one reader serves all that wait: a thousand callers cost no more connections than one", async () => {
  await using client = await connect(redis);
  const connections = async () =>
    String(await redis.command("CLIENT", "LIST"))
      .trim()
      .split("\n").length;
  const before = await connections();
  const calls = Array.from({ length: 1_000 }, () => client.call("remove", removal).catch(() => undefined));
  await untilCounts(client, { waiting: 1_000 });
  // `counts` has opened the unpack queue's end too: a few more, however many call.
  expect((await connections()) - before).toBeLessThan(5);
  await client[Symbol.asyncDispose]();
  await Promise.all(calls);
});
