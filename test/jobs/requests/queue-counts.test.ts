// Room: test. Owns how long the oldest job of a queue has waited, wherever in the queue it is.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Redis } from "ioredis";
import type { QueueKind } from "../../../src/domain/queues.ts";
import { type JobQueue, openQueue } from "../../../src/jobs/queues.ts";
import { consumerConnection } from "../../../src/jobs/redis/connection.ts";
import { oldestWaitingMs } from "../../../src/jobs/requests/queue-counts.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { pool } from "../support.ts";

let redis: TestRedis;
let connection: Redis;
beforeAll(async () => {
  redis = await startRedis();
  connection = consumerConnection(redis.url);
});
afterAll(async () => {
  connection.disconnect();
  await redis[Symbol.asyncDispose]();
});

/** An empty queue. */
async function emptyQueue(kind: QueueKind): Promise<JobQueue> {
  await connection.flushall();
  return await openQueue(connection, pool, kind);
}

const minute = 60_000;
let jobs = 0;
const add = (queue: JobQueue, ageMs: number, options: { priority?: number; lifo?: boolean } = {}) => {
  jobs += 1;
  return queue.add("job", {}, { ...options, jobId: `op-${jobs}`, timestamp: Date.now() - ageMs });
};

/** In minutes. */
const oldest = async (queue: JobQueue, kind: QueueKind) =>
  Math.floor((await oldestWaitingMs(connection, queue, kind)) / minute);

test("no job waits: 0", async () => {
  const queue = await emptyQueue("pool");
  expect(await oldestWaitingMs(connection, queue, "pool")).toBe(0);
  await queue.close();
});

test("the first in line is the oldest, also behind one that goes before it", async () => {
  const queue = await emptyQueue("pool");
  for (const minutes of [9, 5, 3]) await add(queue, minutes * minute);
  expect(await oldest(queue, "pool")).toBe(9);
  await add(queue, minute, { lifo: true });
  expect(await oldest(queue, "pool")).toBe(9);
  await queue.close();
});

test("of jobs with priorities the oldest counts, though others go first", async () => {
  const queue = await emptyQueue("unpack");
  for (const [priority, minutes] of [
    [1, 2],
    [1, 1],
    [700, 30],
    [700, 20],
    [1000, 4],
  ] as const) {
    await add(queue, minutes * minute, { priority });
  }
  expect(await oldest(queue, "unpack")).toBe(30);
  await add(queue, 45 * minute);
  expect(await oldest(queue, "unpack")).toBe(45);
  await queue.close();
});

test("a job that its worker has taken still waits for the pool, but an image is being unpacked", async () => {
  for (const [kind, minutes] of [
    ["pool", 8],
    ["unpack", 0],
  ] as const) {
    const queue = await emptyQueue(kind);
    const job = await add(queue, 8 * minute);
    await connection.lmove(queue.toKey("wait"), queue.toKey("active"), "RIGHT", "LEFT");
    expect(await connection.lrange(queue.toKey("active"), 0, -1)).toEqual([job.id ?? ""]);
    expect(await oldest(queue, kind)).toBe(minutes);
    await queue.close();
  }
});
