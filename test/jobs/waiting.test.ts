import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { getEventListeners } from "node:events";
import type { UnpackProgress } from "../../src/jobs/contract.ts";
import type { Submission } from "../../src/jobs/requests/submissions.ts";
import { Waiters } from "../../src/jobs/requests/waiters.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import {
  anId,
  connect,
  consume,
  consumeUnpacks,
  failureOf,
  image,
  publishUnpacks,
  removal,
  unpacked,
  untilCounts,
} from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => redis.flush());
afterAll(() => redis[Symbol.asyncDispose]());

test("a deadline ends the waiting, not the job, and says how to ask again", async () => {
  const { promise: release, resolve } = Promise.withResolvers<void>();
  await using _consumer = await consume(redis, {
    cleanup: async () => {
      await release;
      return { removedDevices: 3, removedSnapshots: 0 };
    },
  });
  await using client = await connect(redis);
  const failure = await failureOf(client.call("cleanup", {}, { operationId: anId, deadlineMs: 200 }));
  expect(failure.code).toBe("deadline_exceeded");
  expect(failure.message).toBe(
    `cleanup ${anId} did not end within 200 ms; it may still happen: ask again with the same operation ID`,
  );
  resolve();
  expect(await client.call("cleanup", {}, { operationId: anId })).toEqual({ removedDevices: 3, removedSnapshots: 0 });
});

test.each([2 ** 31, Number.POSITIVE_INFINITY])("a deadline of %d ms has not passed at once", async (deadlineMs) => {
  const { promise: release, resolve } = Promise.withResolvers<void>();
  await using _consumer = await consume(redis, { remove: () => release.then(() => ({})) });
  await using client = await connect(redis);
  const call = client.call("remove", removal, { operationId: anId, deadlineMs });
  await untilCounts(client, { active: 1 });
  resolve();
  expect(await call).toEqual({});
});

test("a caller that gives up takes back a job that has not begun", async () => {
  await using client = await connect(redis);
  const controller = new AbortController();
  const call = failureOf(client.call("remove", removal, { operationId: anId, signal: controller.signal }));
  await untilCounts(client, { waiting: 1 });
  controller.abort();
  const failure = await call;
  expect(failure.code).toBe("aborted");
  expect(failure.message).toBe(`remove ${anId} was given up and taken back before it began`);
  expect((await client.counts()).pool).toEqual({ waiting: 0, active: 0, delayed: 0, completed: 0, failed: 0 });
});

test("a caller that gives up at once takes the job back too", async () => {
  await using client = await connect(redis);
  const controller = new AbortController();
  const call = failureOf(client.call("remove", removal, { signal: controller.signal }));
  controller.abort();
  expect((await call).message).toContain("taken back");
  expect((await client.counts()).pool.waiting).toBe(0);
});

test("a thousand callers that give up at once leave nothing behind", async () => {
  await using client = await connect(redis);
  // What lives as long as the caller's process, such as the signal of its own end.
  const longLived = new AbortController();
  const keysOf = async () => ((await redis.command("KEYS", "*:op-*")) as string[]).length;
  for (const wait of [0, 20]) {
    const controller = new AbortController();
    const options = { signal: AbortSignal.any([longLived.signal, controller.signal]) };
    const calls = Array.from({ length: 1_000 }, () => failureOf(client.call("remove", removal, options)));
    await Bun.sleep(wait);
    controller.abort();
    const failures = await Promise.all(calls);
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(["aborted"]));
    expect((await client.counts()).pool.waiting).toBe(0);
    expect(await keysOf()).toBe(0);
  }
  const late = failureOf(client.call("remove", removal, { signal: longLived.signal, deadlineMs: 0 }));
  expect((await late).code).toBe("deadline_exceeded");
  expect(getEventListeners(longLived.signal, "abort")).toHaveLength(0);
});

test("a wait that has ended is forgotten", async () => {
  const waiters = new Waiters();
  const submission: Submission = { name: "remove", operationId: anId, payload: {}, database: undefined, isFresh: true };
  {
    using one = waiters.open(submission, { deadlineMs: 10_000 }, async () => undefined);
    using other = waiters.open(submission, { deadlineMs: 10_000 }, async () => undefined);
    expect([...waiters.of(anId)]).toEqual([one, other]);
    one.resolve("done");
    expect(await one.outcome).toBe("done");
  }
  expect([waiters.areNone, [...waiters.of(anId)], [...waiters.all()]]).toEqual([true, [], []]);
});

test("a caller that has given up already sends nothing", async () => {
  await using client = await connect(redis);
  const failure = await failureOf(client.call("remove", removal, { signal: AbortSignal.abort() }));
  expect(failure.code).toBe("aborted");
  expect(await redis.command("EXISTS", "{snapmill:test.pool}:test.pool.pool:id")).toBe(0);
});

test("a caller that gives up from a running job hears that it may still happen", async () => {
  const { promise: release, resolve } = Promise.withResolvers<void>();
  let runs = 0;
  await using _consumer = await consume(redis, {
    remove: async () => {
      runs += 1;
      await release;
      return {};
    },
  });
  await using client = await connect(redis);
  const controller = new AbortController();
  const call = failureOf(client.call("remove", removal, { operationId: anId, signal: controller.signal }));
  await until(
    "the job runs",
    () => runs,
    (state) => state === 1,
  );
  controller.abort();
  const failure = await call;
  expect([failure.code, failure.message.includes("it may still happen")]).toEqual(["aborted", true]);
  resolve();
  expect(await client.call("remove", removal, { operationId: anId })).toEqual({});
  expect(runs).toBe(1);
});

test("a caller that gives up leaves the job to others that wait for it", async () => {
  await using client = await connect(redis);
  await using other = await connect(redis);
  const controller = new AbortController();
  const givenUp = failureOf(client.call("remove", removal, { operationId: anId, signal: controller.signal }));
  const here = client.call("remove", removal, { operationId: anId });
  const elsewhere = other.call("remove", removal, { operationId: anId });
  await untilCounts(client, { waiting: 1 });
  controller.abort();
  expect((await givenUp).message).toContain("it may still happen");
  await using _consumer = await consume(redis, { remove: async () => ({}) });
  expect(await Promise.all([here, elsewhere])).toEqual([{}, {}]);
});

test("a job taken back in one process is added again by a caller that waits for it in another", async () => {
  await using client = await connect(redis);
  await using other = await connect(redis);
  const controller = new AbortController();
  const givenUp = failureOf(client.call("remove", removal, { operationId: anId, signal: controller.signal }));
  const elsewhere = other.call("remove", removal, { operationId: anId });
  await untilCounts(client, { waiting: 1 });
  controller.abort();
  expect((await givenUp).message).toContain("taken back");
  await using _consumer = await consume(redis, { remove: async () => ({}) });
  expect(await elsewhere).toEqual({});
});

test("closing the client ends every waiting, and later calls are refused", async () => {
  const client = await connect(redis);
  const calls = Array.from({ length: 100 }, () => failureOf(client.call("remove", removal)));
  await untilCounts(client, { waiting: 100 });
  await client[Symbol.asyncDispose]();
  const failures = await Promise.all(calls);
  expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(["aborted"]));
  expect(failures[0]?.message).toContain("the client was closed");
  expect((await failureOf(client.call("remove", removal))).code).toBe("failed_precondition");
});

test("an unpack's progress arrives in order, before its end, and none after it", async () => {
  const digest = `sha256:${"1".repeat(64)}`;
  const at = (readBytes: number) =>
    ({ layers: [{ digest, state: "unpacking", compressedBytes: 9, readBytes }] }) as unknown as UnpackProgress;
  await using _pool = await consume(redis, { "accept-unpack": publishUnpacks(redis) });
  await using _unpacks = await consumeUnpacks(redis, async (_, job) => {
    for (let readBytes = 1; readBytes <= 50; readBytes += 1) {
      await Bun.sleep(1);
      await job.progress(at(readBytes));
      await job.log(`read ${readBytes}`);
    }
    return unpacked;
  });
  await using client = await connect(redis);
  const seen: number[] = [];
  const onProgress = ({ layers }: UnpackProgress) => void seen.push(layers[0]?.readBytes ?? -1);
  expect(await client.unpack(image, { onProgress })).toEqual(unpacked);
  expect(seen.at(-1)).toBe(50);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
});
