// Tests the pool's worker as a process: one per pool, a graceful end, and recovery from kills.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { freshOperationId, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { SlowMkfs } from "../support/slow-mkfs.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { until } from "../support/until.ts";
import { startWorker } from "./start-worker.ts";

setDefaultTimeout(60_000);

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

async function connect(snapmill: TestSnapmill): Promise<JobClient> {
  return await JobClient.connect({ redisUrl: redis.url, pool: snapmill.config.pool });
}

test("a second worker on a pool names the owner and exits; the first goes on", async () => {
  using snapmill = new TestSnapmill({ REDIS_URL: redis.url });
  const first = startWorker(snapmill);
  expect((await first.announced).kind).toBe("ready");
  const second = startWorker(snapmill);
  const announced = await second.announced;
  expect(announced).toMatchObject({ kind: "refused", error: { code: "failed_precondition" } });
  expect(announced.kind === "refused" && announced.error.message).toContain(`"pid":${first.child.pid}`);
  expect(await second.child.exited).toBe(1);

  await using client = await connect(snapmill);
  const key = snapshotKey("still-served");
  expect((await client.call("prepare", { scope: ownScope, key, labels: {} })).mounts).toHaveLength(1);
  first.child.kill("SIGTERM");
  expect(await first.child.exited).toBe(0);
});

test("a worker whose pool was deleted says so, and makes none in its place", async () => {
  using snapmill = new TestSnapmill({ REDIS_URL: redis.url, SNAPMILL_POOL: "lost" });
  const first = startWorker(snapmill);
  expect((await first.announced).kind).toBe("ready");
  await using client = await connect(snapmill);
  await client.call("prepare", { scope: ownScope, key: "kept", labels: {} });
  first.child.kill("SIGTERM");
  expect(await first.child.exited).toBe(0);

  const image = join(paths.poolDir(snapmill.config), "pool.img");
  rmSync(image);
  const second = startWorker(snapmill);
  const announced = await second.announced;
  expect(announced).toMatchObject({ kind: "refused", error: { code: "failed_precondition" } });
  expect(announced.kind === "refused" && announced.error.message).toContain("pool lost is lost");
  expect(await second.child.exited).toBe(1);
  expect(existsSync(image)).toBe(false);
});

test("an operation that killed two workers is set aside and reported by doctor, and the pool goes on", async () => {
  using snapmill = new TestSnapmill({ REDIS_URL: redis.url, SNAPMILL_POOL: "poisoned" });
  await using client = await connect(snapmill);
  const operationId = freshOperationId();
  const mayFail = (key: string, id = freshOperationId()) =>
    client.call("prepare", { scope: ownScope, key, labels: {} }, { operationId: id });
  const asked = mayFail("poison", operationId).catch((error: unknown) => error);
  for (const _death of [1, 2]) {
    const marker = join(snapmill.directory, "marker");
    writeFileSync(marker, "");
    const worker = startWorker(snapmill, "pool", { SNAPMILL_FAULT: `prepare.intended@${marker}` });
    expect(await worker.child.exited).not.toBe(0);
    expect(worker.child.signalCode).toBe("SIGKILL");
  }
  const last = startWorker(snapmill);
  expect(await asked).toMatchObject({ code: "internal" });
  expect(String(await asked)).toContain("was set aside");
  expect((await mayFail("other")).mounts).toHaveLength(1);
  const { findings } = await client.call("doctor", { repair: true });
  expect(findings).toMatchObject([{ kind: "operation-set-aside", subject: operationId, repaired: false }]);
  expect((await snapmill.run(["status"])).stdout).toContain("1 operation whose workers died");
  // Once retried, the operation is treated like any other.
  await client.call("cleanup", {});
  expect((await client.call("doctor", { repair: false })).findings).toEqual([]);
  await client.call("remove", { scope: ownScope, key: "other" });
  last.child.kill("SIGTERM");
  expect(await last.child.exited).toBe(0);
});

test("told to stop, a worker finishes what it runs, and the rest waits for the next one", async () => {
  using snapmill = new TestSnapmill({ REDIS_URL: redis.url, SNAPMILL_POOL: "graceful" });
  const first = startWorker(snapmill);
  expect((await first.announced).kind).toBe("ready");
  await using client = await connect(snapmill);
  const asked = Array.from({ length: 60 }, (_, index) => ({
    key: snapshotKey(`k${index}`),
    operationId: freshOperationId(),
  }));
  const answers = asked.map(({ key, operationId }) =>
    client.call("prepare", { scope: ownScope, key, labels: {} }, { operationId }),
  );
  await Promise.race(answers);
  first.child.kill("SIGTERM");
  expect(await first.child.exited).toBe(0);

  const second = startWorker(snapmill);
  expect((await second.announced).kind).toBe("ready");
  const mounts = (await Promise.all(answers)).map((answer) => answer.mounts[0]?.source);
  // Each snapshot was made once: sixty answers, sixty devices.
  expect(new Set(mounts).size).toBe(60);
  second.child.kill("SIGTERM");
  expect(await second.child.exited).toBe(0);
});

test("told to stop while it waits for a command, a worker finishes that, too", async () => {
  using mkfs = new SlowMkfs();
  using snapmill = new TestSnapmill({ REDIS_URL: redis.url, SNAPMILL_POOL: "waiting", PATH: mkfs.path });
  const worker = startWorker(snapmill, "pool", { SNAPMILL_LOG_LEVEL: "info" });
  expect((await worker.announced).kind).toBe("ready");
  await using client = await connect(snapmill);
  mkfs.hold();
  const answer = client.call("prepare", { scope: ownScope, key: snapshotKey("base"), labels: {} });
  await mkfs.untilStarted();
  worker.child.kill("SIGTERM");
  await until("the worker is stopping", worker.said, (log) => log.includes("stopping: "));
  mkfs.release();
  expect((await answer).mounts).toHaveLength(1);
  expect(await worker.child.exited).toBe(0);
});

test("a killed worker's operations are answered by the next one, each with one effect", async () => {
  using snapmill = new TestSnapmill({ REDIS_URL: redis.url, SNAPMILL_POOL: "killed" });
  const first = startWorker(snapmill);
  expect((await first.announced).kind).toBe("ready");
  await using client = await connect(snapmill);
  const answers = Array.from({ length: 40 }, (_, index) =>
    client.call("prepare", { scope: ownScope, key: snapshotKey(`k${index}`), labels: {} }),
  );
  await Promise.race(answers);
  first.child.kill("SIGKILL");
  await first.child.exited;

  const second = startWorker(snapmill);
  expect((await second.announced).kind).toBe("ready");
  const mounts = (await Promise.all(answers)).map((answer) => answer.mounts[0]?.source);
  expect(new Set(mounts).size).toBe(40);
  await client.call("reset-pool", {});
  second.child.kill("SIGTERM");
  expect(await second.child.exited).toBe(0);
  expect(snapmill.residue()).toEqual([]);
});
