// Room: test. Owns the unpack worker as a process: accepted work is completed, whatever happens meanwhile.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { type ChainId, diffId, freshOperationId } from "../../src/domain/identifiers.ts";
import { keyPrefix, queueName } from "../../src/jobs/queues.ts";
import { pendingOutbox } from "../../src/metadata/outbox.ts";
import { acquireLock } from "../../src/system/file/locks.ts";
import { chainIdsOf } from "../../src/unpack/chain.ts";
import { lockPath } from "../../src/unpack/layer-turns.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeImage } from "../support/images.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { file } from "../support/tar-entries.ts";
import { until } from "../support/until.ts";
import { PoolWorkers } from "./pool-workers.ts";

setDefaultTimeout(120_000);

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());
const images = await temporaryDirectory();
afterAll(() => images[Symbol.asyncDispose]());

test("a lost lock, a stop, an emptied Redis and a killed worker lose no accepted image", async () => {
  const content = (index: number) => [file(`file-${index}`, `content ${index}`)];
  const long = await writeImage(
    join(images.path, "long"),
    Array.from({ length: 40 }, (_, index) => ({ content: content(index), form: "none" as const })),
  );
  await using fixture = await PoolWorkers.open(redis);
  const { pool } = fixture.snapmill.config;
  const operationId = freshOperationId();
  await fixture.client.call("accept-unpack", {
    requests: [{ operationId, reference: long.reference, platform: "linux/amd64" }],
  });
  const lock = `${keyPrefix(pool)}:${queueName(pool, "unpack")}:${operationId}:lock`;
  const layers = () => fixture.snapmill.snapshots().filter(({ kind }) => kind === "committed").length;

  // Keeps the unpack from ending before the test has taken everything away.
  const [held] = chainIdsOf(long.layers.map((layer) => ({ diffId: diffId(layer.diffId) }))).slice(20);
  const barrier = await acquireLock(lockPath(paths.chainLocks(fixture.snapmill.config), held as ChainId));
  const first = await fixture.start("unpack");
  await until("20 layers are committed", layers, (count) => count === 20);
  const token = await redis.command("GET", lock);
  await redis.command("DEL", lock);
  // The job is handed over, here to the same worker.
  await until(
    "it has another lock",
    () => redis.command("GET", lock),
    (found) => found !== null && found !== token,
  );
  // No image has these layers yet, and no child the last of them: they are the unpack's all the same.
  expect(await fixture.client.call("remove-images", { names: [], images: [] })).toMatchObject({ layers: [] });
  first.kill("SIGTERM");
  expect(await first.exited).toBe(0);
  await redis.flush();
  expect(layers()).toBe(20);
  expect(fixture.read(pendingOutbox)).toHaveLength(1);

  barrier[Symbol.dispose]();
  const second = await fixture.start("unpack");
  await until("more layers are committed", layers, (count) => count > 20);
  second.kill("SIGKILL");
  await second.exited;
  await fixture.start("unpack");
  await until(
    "the outbox is empty",
    () => fixture.read(pendingOutbox),
    ({ length }) => length === 0,
    60_000,
  );
  expect(layers()).toBe(40);
});

test("a layer that is removed after an unpack has found it is unpacked again", async () => {
  const [shared, upper] = ["shared", "upper"].map((name) => ({
    content: [file(name, name)],
    form: "none" as const,
  }));
  const one = await writeImage(join(images.path, "one"), [shared as never]);
  const two = await writeImage(join(images.path, "two"), [shared, upper] as never);
  await using fixture = await PoolWorkers.open(redis);
  await fixture.start("unpack");
  const platform = "linux/amd64";
  await fixture.client.unpack({ reference: one.reference, platform });
  const chain = chainIdsOf(two.layers.map((layer) => ({ diffId: diffId(layer.diffId) })));
  const barrier = await acquireLock(lockPath(paths.chainLocks(fixture.snapmill.config), chain[1] as ChainId));
  const found: string[] = [];
  const unpacking = fixture.client.unpack(
    { reference: two.reference, platform },
    { onProgress: ({ layers }) => found.push(layers.map(({ state }) => state).join()) },
  );
  await until(
    "the shared layer is found",
    () => found,
    (states) => states.includes("cached,waiting"),
  );
  const removed = await fixture.client.call("remove-images", {
    names: [{ reference: one.reference, platform }],
    images: [],
  });
  expect(removed.layers).toMatchObject([{ chainId: chain[0] }]);
  barrier[Symbol.dispose]();
  expect((await unpacking).layers.map(({ cached }) => cached)).toEqual([false, false]);
  expect(fixture.snapmill.snapshots()).toHaveLength(2);
});

test("an image that was cancelled before it was accepted is not unpacked", async () => {
  const image = await writeImage(join(images.path, "unwanted"), [{ content: [file("unwanted", "x")] }]);
  await using fixture = await PoolWorkers.open(redis);
  await fixture.start("unpack");
  const operationId = freshOperationId();
  await fixture.client.call("settle-unpack", { unpackOperationId: operationId, outcome: { kind: "cancelled" } });
  // Also after Redis has lost the job and it is accepted again.
  for (let time = 1; time <= 2; time += 1) {
    const unpacking = fixture.client.unpack({ reference: image.reference, platform: "linux/amd64" }, { operationId });
    expect(await unpacking.catch((error: unknown) => error)).toMatchObject({
      code: "failed_precondition",
      message: `image ${image.reference}: cancelled by its caller`,
    });
    await redis.flush();
  }
  expect(fixture.snapmill.snapshots()).toEqual([]);
});
