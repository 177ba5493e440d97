// Room: test. Owns jobs whose own fields in Redis were damaged: they fail in words, and hold no other job up.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { freshOperationId } from "../../../src/domain/identifiers.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { connect, consume, failureOf, removal, withQueue } from "../support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const damages = [
  ["opts", "{ no JSON"],
  ["opts", "null"],
  ["progress", "{ no JSON"],
  ["parent", "{ no JSON"],
  ["ats", "many"],
  ["rjk", "a:b"],
] as const;

test("more damaged jobs than a worker takes at once all fail, and the jobs behind them are executed", async () => {
  await using client = await connect(redis);
  const failures = damages.map(async ([field]) => {
    const failure = await failureOf(client.call("remove", removal, { operationId: freshOperationId() }));
    return [field, failure.code, failure.message] as const;
  });
  await until("they are queued", async () => (await client.counts()).pool.waiting === damages.length);
  await withQueue(redis, "pool", async (queue) => {
    const ids = (await redis.command("LRANGE", queue.toKey("wait"), "0", "-1")) as string[];
    // The oldest is the last one.
    for (const [index, [field, value]] of damages.entries()) {
      await redis.command("HSET", queue.toKey(ids.at(-1 - index) ?? ""), field, value);
    }
  });
  const behind = client.call("remove", { ...removal, key: "behind" });
  await using _consumer = await consume(redis, { remove: async () => ({}) }, { concurrency: 3 });
  expect(await behind).toEqual({});
  expect(await Promise.all(failures)).toEqual(
    damages.map(([field]) => [
      field,
      "invalid_argument",
      `this job was not written by snapmill: its field ${field} is damaged`,
    ]),
  );
  // The dashboard can list them.
  await withQueue(redis, "pool", async (queue) => {
    expect((await queue.getJobs(["failed"])).length).toBe(damages.length);
  });
}, 90_000);
