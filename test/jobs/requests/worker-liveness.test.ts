import { afterAll, afterEach, beforeAll, expect, spyOn, test } from "bun:test";
import { WorkerLiveness } from "../../../src/jobs/requests/worker-liveness.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { anotherId, connect, consume, failureOf, pool, removal, startConsumerProcess, withQueue } from "../support.ts";

/** On two slow cores. */
const timeoutMs = 60_000;

/** Waits until the clients have asked seven times, over more than three seconds, whether a worker is there. */
async function untilAskedSeveralTimes(): Promise<void> {
  using asking = spyOn(WorkerLiveness.prototype, "absence");
  await until(
    "it was asked whether a worker is there",
    () => asking.mock.calls.length,
    (count) => count >= 7,
  );
}

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => redis.flush());
afterAll(() => redis[Symbol.asyncDispose]());

test(
  "a call that needs a worker fails when none is there, and its job will not happen",
  async () => {
    await using client = await connect(redis);
    const failure = await failureOf(client.call("remove", removal, { needsWorker: true }));
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toContain("the pool's worker is not there");
    expect(failure.message).toEndWith("remove was taken back and will not happen: try again");
    expect((await client.counts()).pool.waiting).toBe(0);
  },
  timeoutMs,
);

test(
  "a call that does not need a worker waits for one",
  async () => {
    await using client = await connect(redis);
    const patient = client.call("remove", removal);
    await failureOf(client.call("cleanup", {}, { needsWorker: true }));
    await using _consumer = await consume(redis, { remove: () => Promise.resolve({}) });
    expect(await patient).toEqual({});
  },
  timeoutMs,
);

test(
  "a call waits for a running worker, however long it takes, and fails as soon as it is killed",
  async () => {
    await using worker = await startConsumerProcess(redis, "hangs");
    await using client = await connect(redis);
    let isOver = false;
    const call = failureOf(client.call("remove", removal, { needsWorker: true })).finally(() => {
      isOver = true;
    });
    await untilAskedSeveralTimes();
    expect(isOver).toBe(false);
    await worker.kill();
    const failure = await call;
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toContain("it may still happen");
  },
  timeoutMs,
);

test(
  "a worker is found again after a restart of Redis",
  async () => {
    const { promise: release, resolve } = Promise.withResolvers<void>();
    await using _consumer = await consume(redis, { remove: () => release.then(() => ({})) });
    await using client = await connect(redis);
    await redis.restart();
    await until(
      "the worker is back",
      () => client.workers().catch(String),
      (workers) => typeof workers === "object" && workers.pool === 1,
    );
    const call = client.call("remove", removal, { needsWorker: true });
    await untilAskedSeveralTimes();
    resolve();
    expect(await call).toEqual({});
  },
  timeoutMs,
);

test(
  "a paused queue is one without a worker",
  async () => {
    await using _consumer = await consume(redis, { remove: () => Promise.resolve({}) });
    await using client = await connect(redis);
    await withQueue(redis, "pool", (queue) => queue.pause());
    const failure = await failureOf(client.call("remove", removal, { needsWorker: true }));
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toContain("is paused");
    await withQueue(redis, "pool", (queue) => queue.resume());
  },
  timeoutMs,
);

test(
  "a caller that leaves a running job can hear of its end",
  async () => {
    const { promise: release, resolve } = Promise.withResolvers<void>();
    const other = { ...removal, key: "another key" };
    let runs = 0;
    await using _consumer = await consume(redis, {
      remove: async ({ key }) => {
        if (key === other.key) return {};
        runs += 1;
        await release;
        return {};
      },
    });
    await using client = await connect(redis);
    const controller = new AbortController();
    let ended: Promise<void> | undefined;
    let hasEnded = false;
    const onLeft = (promise: Promise<void>) => {
      ended = promise.then(() => {
        hasEnded = true;
      });
    };
    const call = failureOf(client.call("remove", removal, { signal: controller.signal, onLeft }));
    await until(
      "the job runs",
      () => runs,
      (state) => state === 1,
    );
    controller.abort();
    await call;
    // An event that comes after reaches this client: the end of the job that it left would have, too.
    const later = client.call("remove", other, { operationId: anotherId });
    const queue = `{snapmill:${pool}}:${pool}.pool`;
    await until("the later job is added", () => redis.command("EXISTS", `${queue}:${anotherId}`));
    await redis.command("XADD", `${queue}:events`, "*", "event", "completed", "jobId", anotherId, "returnvalue", "{}");
    expect(await later).toEqual({});
    expect(hasEnded).toBe(false);
    resolve();
    await ended;
    expect(hasEnded).toBe(true);
    expect(runs).toBe(1);
  },
  timeoutMs,
);
