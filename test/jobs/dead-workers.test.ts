import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { anId, connect, consume, removal, runsOf, startConsumerProcess } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => redis.flush());
afterAll(() => redis[Symbol.asyncDispose]());

test("a worker killed by SIGKILL frees its jobs within seconds, and they get their answer", async () => {
  await using dying = await startConsumerProcess(redis, "hangs");
  await using client = await connect(redis);
  const call = client.call("remove", removal, { operationId: anId });
  await until(
    "the job runs",
    () => runsOf(redis),
    ({ length }) => length === 1,
  );
  await dying.kill();
  await using _next = await startConsumerProcess(redis, "answers");
  expect(await call).toEqual({});
  const runs = await runsOf(redis);
  expect(runs.map((run) => run.split(" ")[0])).toEqual([anId, anId]);
});

test("a job whose worker dies again and again is still not given up", async () => {
  await using client = await connect(redis);
  const call = client.call("remove", removal, { operationId: anId });
  for (let deaths = 1; deaths <= 3; deaths += 1) {
    await using dying = await startConsumerProcess(redis, "hangs");
    await until(
      "the job runs",
      () => runsOf(redis),
      ({ length }) => length === deaths,
    );
    await dying.kill();
  }
  await using _last = await consume(redis, { remove: async () => ({}) });
  expect(await call).toEqual({});
}, 60_000);

test("a worker that blocks longer than its lock lasts has its job run twice: with the same operation ID, and one answer", async () => {
  await using _blocking = await startConsumerProcess(redis, "blocks");
  await using client = await connect(redis);
  const call = client.call("remove", removal, { operationId: anId });
  await until(
    "the job runs",
    () => runsOf(redis),
    ({ length }) => length === 1,
  );
  // What makes this harmless is the journal behind the handlers: it knows an operation by this ID.
  const operations: string[] = [];
  await using _other = await consume(redis, {
    remove: async (_, { operationId }) => {
      operations.push(operationId);
      return {};
    },
  });
  expect(await call).toEqual({});
  expect(operations).toEqual([anId]);
  expect((await client.counts()).pool).toMatchObject({ active: 0, waiting: 0, completed: 1, failed: 0 });
});
