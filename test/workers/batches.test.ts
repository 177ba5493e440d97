// Room: test. Owns batches as the workers do them: what order, how many at a time, how each item ends, what they survive.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { type BatchId, type ChainId, diffId, freshBatchId, freshOperationId } from "../../src/domain/identifiers.ts";
import type { Arguments } from "../../src/jobs/contract.ts";
import type { Database } from "../../src/metadata/database.ts";
import { listImages } from "../../src/metadata/images.ts";
import { pendingOutbox } from "../../src/metadata/outbox.ts";
import { answerReadBatch } from "../../src/service/batches.ts";
import { acquireLock } from "../../src/system/file/locks.ts";
import { chainIdsOf } from "../../src/unpack/chain.ts";
import { lockPath } from "../../src/unpack/layer-turns.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { blobPath, sha256, writeImage } from "../support/images.ts";
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
const directory = await temporaryDirectory();
afterAll(() => directory[Symbol.asyncDispose]());

/** An image of one layer that no other has. */
const imageNamed = (name: string, damage?: (blob: Buffer) => Buffer) =>
  writeImage(join(directory.path, name), [{ content: [file("name", name)], form: "none", ...(damage && { damage }) }]);
const imagesNamed = (...names: string[]) => Promise.all(names.map((name) => imageNamed(name)));
type Image = Awaited<ReturnType<typeof imageNamed>>;

const platform = "linux/amd64";
const itemsOf = (images: readonly { readonly reference: string }[]) => images.map(({ reference }) => ({ reference }));

/** A registry with one image, behind an index with the tag v1; it notes what it is asked for. */
function serveIndexOf({ manifest }: Image, layout: string) {
  const [os, architecture] = platform.split("/");
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ ...manifest, platform: { os, architecture } }],
  });
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ method, url }) {
      const [, kind = "", name = ""] = /\/(manifests|blobs)\/(.*)$/.exec(new URL(url).pathname) ?? [];
      asked.push(`${method} ${name === "v1" ? name : kind}`);
      const body = name === "v1" ? Buffer.from(index) : readFileSync(blobPath(layout, name));
      return new Response(body, { headers: { "docker-content-digest": sha256(body) } });
    },
  });
  const reference = `docker://127.0.0.1:${String(server.port)}/some/image:v1`;
  return { asked, reference, [Symbol.dispose]: () => void server.stop(true) };
}

/** The batches of one pool. */
class Batches {
  readonly workers: PoolWorkers;

  constructor(workers: PoolWorkers) {
    this.workers = workers;
  }

  async submit(images: readonly Image[], given: Partial<Arguments<"submit-batch">> = {}): Promise<BatchId> {
    const batch = freshBatchId();
    await this.workers.client.call("submit-batch", { batch, platform, items: itemsOf(images), ...given });
    return batch;
  }

  read(batch: BatchId) {
    return this.workers.read((database: Database) => answerReadBatch(database, { batch }));
  }

  states(batch: BatchId) {
    return this.read(batch).items.map(({ state }) => state);
  }

  async until(batch: BatchId, state: "done" | "failed" | "cancelled"): Promise<void> {
    await until(
      `batch ${batch} is ${state}`,
      () => this.read(batch),
      (read) => read.batch.state === state,
      60_000,
    );
  }

  async untilStates(batch: BatchId, ...states: string[]): Promise<void> {
    await until(
      `the items are ${states.join()}`,
      () => this.read(batch).items,
      (items) => items.map(({ state }) => state).join() === states.join(),
      60_000,
    );
  }

  /** Keeps an image of one layer from being unpacked until it is disposed of. */
  hold({ layers: [layer] }: Image): Promise<Disposable> {
    const [chain] = chainIdsOf([{ diffId: diffId(layer?.diffId ?? "") }]);
    return acquireLock(lockPath(paths.chainLocks(this.workers.snapmill.config), chain as ChainId));
  }
}

test("items go by priority, so many at a time; each ends with what came of it, and what the pool has is present", async () => {
  const later = await imagesNamed("later-1", "later-2", "later-3");
  const damaged = await imageNamed("damaged", (blob) =>
    Buffer.from(blob.map((byte, at) => (at === 520 ? byte ^ 1 : byte))),
  );
  const missing = { ...damaged, reference: `oci:${join(directory.path, "nowhere")}` };
  const sooner = [...(await imagesNamed("sooner-1", "sooner-2")), damaged, missing];
  const plainImage = await imageNamed("plain");
  await PoolWorkers.use(redis, async (workers) => {
    const batches = new Batches(workers);

    const second = await batches.submit(later, { priority: 200, parallel: 2 });
    const first = await batches.submit(sooner, { priority: 5, parallel: 3 });
    const alone = { operationId: freshOperationId(), reference: plainImage.reference, platform };
    await workers.client.call("accept-unpack", { requests: [alone] });
    const waiting = async () => (await workers.client.counts()).unpack.waiting;
    await until("six are queued", waiting, (count) => count === 6);
    expect([batches.read(first).batch.state, batches.states(second)]).toEqual([
      "running",
      ["pending", "pending", "pending"],
    ]);

    await workers.start("unpack");
    await batches.until(second, "done");
    await batches.until(first, "failed");
    const { batch, items } = batches.read(first);
    expect(batch.counts).toEqual({ pending: 0, running: 0, done: 2, present: 0, failed: 2, cancelled: 0 });
    expect(items.slice(2)).toMatchObject([
      { state: "failed", attempts: 1, failure: { code: "invalid_argument", stage: "unpack" } },
      { state: "failed", attempts: 1, failure: { code: "not_found", stage: "resolve" } },
    ]);
    const startOf = (name: BatchId) => batches.read(name).items.map(({ startedAtMs }) => startedAtMs ?? 0);
    // The second batch's own two were queued first.
    expect(Math.max(...startOf(first))).toBeLessThanOrEqual(Math.min(...startOf(second)));
    const plainAtMs = workers
      .read(listImages)
      .find(({ names }) => names.some(({ reference }) => reference === alone.reference))?.unpackedAtMs;
    expect(plainAtMs).toBeLessThanOrEqual(Math.min(...startOf(first)));

    const again = await batches.submit(later.slice(0, 2));
    await batches.until(again, "done");
    expect(batches.states(again)).toEqual(["present", "present"]);
    using registry = serveIndexOf(plainImage, join(directory.path, "plain"));
    const remote = [{ ...plainImage, reference: registry.reference }];
    const options = { registry: { plainHttp: true } };
    // The pool has its layer; under this name it does not know the image yet.
    await batches.until(await batches.submit(remote, options), "done");
    expect(registry.asked).toEqual(["GET v1", "GET manifests", "GET blobs"]);
    const head = await batches.submit(remote, options);
    await batches.until(head, "done");
    expect([registry.asked.slice(3), batches.states(head)]).toEqual([["HEAD v1"], ["present"]]);

    const elsewhere = await workers.client.call("read-batch", { batch: again, states: ["present"], limit: 1 });
    expect(elsewhere.items).toHaveLength(1);
    expect(elsewhere.batch).toEqual(batches.read(again).batch);
  });
});

test("what runs is cancelled and ends in time, attempts are counted although Redis forgets them, and a retry does the rest", async () => {
  const [held, other, third] = (await imagesNamed("held", "other", "third")) as [Image, Image, Image];
  let asked = 0;
  using registry = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      asked += 1;
      return new Response("busy", { status: 429, headers: { "retry-after": "3600" } });
    },
  });
  await PoolWorkers.use(redis, async (workers) => {
    const batches = new Batches(workers);
    const lock = await batches.hold(held);
    await workers.start("unpack");

    const cancelled = await batches.submit([held, other, third]);
    await batches.untilStates(cancelled, "running", "pending", "pending");
    const answer = await workers.client.call("cancel-batch", { batch: cancelled, reason: "not wanted" });
    expect(answer).toEqual({ cancelled: 2, running: 1 });
    await batches.until(cancelled, "cancelled");
    expect(batches.states(cancelled)).toEqual(["cancelled", "cancelled", "cancelled"]);

    const late = await batches.submit([held], { timeLimitMs: 200 });
    await batches.until(late, "failed");
    expect(batches.read(late).items[0]?.failure).toMatchObject({ code: "deadline_exceeded", stage: "unpack" });
    lock[Symbol.dispose]();

    const busy = { ...held, reference: `docker://127.0.0.1:${String(registry.port)}/some/image:v1` };
    const busyBatch = await batches.submit([busy, other], { registry: { plainHttp: true }, failAfterPercent: 60 });
    await until("the registry was asked", () => (batches.read(busyBatch).items[0]?.attempts ?? 0) > 0);
    await redis.flush();
    await batches.until(busyBatch, "failed");
    expect(asked).toBe(3);
    expect(batches.read(busyBatch).items).toMatchObject([
      { state: "failed", attempts: 3, failure: { code: "deadline_exceeded", stage: "resolve" } },
      { state: "done" },
    ]);

    expect(await workers.client.call("retry-batch", { batch: cancelled, failedOnly: false })).toEqual({ retried: 3 });
    await batches.until(cancelled, "done");
    expect(batches.states(cancelled)).toEqual(["done", "present", "done"]);
  });
});

test("a batch survives the death of its workers and an emptied Redis: each image is unpacked once", async () => {
  const images = await imagesNamed("one", "two", "three", "four", "five", "six");
  await PoolWorkers.use(redis, async (workers) => {
    const batches = new Batches(workers);
    const lock = await batches.hold(images[2] as Image);
    const unpack = await workers.start("unpack");
    const batch = await batches.submit(images, { parallel: 3 });
    await batches.untilStates(batch, "done", "done", "running", "pending", "pending", "pending");

    await workers.killPool();
    unpack.kill("SIGKILL");
    await unpack.exited;
    await redis.flush();
    await workers.start("pool");
    const second = await workers.start("unpack");
    await until("an item is begun again", async () => (await workers.client.counts()).unpack.active === 1);
    second.kill("SIGKILL");
    await second.exited;
    // Cancelled now, its item has no worker that could end it, and Redis forgets its job.
    await workers.client.call("cancel-batch", { batch, reason: "not wanted" });
    await redis.flush();
    await batches.until(batch, "cancelled");
    expect(batches.states(batch)).toEqual(["done", "done", "cancelled", "cancelled", "cancelled", "cancelled"]);

    lock[Symbol.dispose]();
    expect(await workers.client.call("retry-batch", { batch, failedOnly: false })).toEqual({ retried: 4 });
    await workers.start("unpack");
    await batches.until(batch, "done");
    expect(batches.states(batch)).toEqual(Array.from({ length: 6 }, () => "done"));
    expect(workers.snapmill.snapshots().filter(({ kind }) => kind === "committed")).toHaveLength(6);
    expect(workers.read(pendingOutbox)).toEqual([]);
    await workers.client.call("remove-batch", { batch });
    expect(() => batches.read(batch)).toThrow("no batch");
  });
});
