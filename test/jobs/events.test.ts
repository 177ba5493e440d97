import { afterAll, beforeAll, expect, test } from "bun:test";
import { EventReader } from "../../src/jobs/event-reader.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { anId, connect, consume, pool, removal, until } from "./support.ts";

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
  await until("the event arrives", () => seen.length > 0);
  expect(seen).toEqual([[anId, { removedDevices: 1, removedSnapshots: 2 }]]);
});

test("one reader serves all who wait: a thousand callers cost no more connections than one", async () => {
  await using client = await connect(redis);
  const connections = async () =>
    String(await redis.command("CLIENT", "LIST"))
      .trim()
      .split("\n").length;
  const before = await connections();
  const calls = Array.from({ length: 1_000 }, () => client.call("remove", removal).catch(() => undefined));
  await until("all are queued", async () => (await client.counts()).pool.waiting === 1_000);
  // `counts` has opened the unpack queue's end too: a few more, however many call.
  expect((await connections()) - before).toBeLessThan(5);
  await client[Symbol.asyncDispose]();
  await Promise.all(calls);
});
