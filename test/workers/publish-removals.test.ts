// Tests removals of devices by the pool's worker, through kills, a lost Redis and devices in use.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { paths } from "../../src/config.ts";
import { type DeviceName, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { findDevice, listDevices } from "../../src/metadata/devices.ts";
import { pendingRemovals, removalRecords } from "../../src/metadata/pending-removals.ts";
import { deviceOf } from "../../src/metadata/snapshots.ts";
import { mounted } from "../conformance/snapshotter-fixture.ts";
import { untilCounts } from "../jobs/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { until } from "../support/until.ts";
import { startWorker } from "./start-worker.ts";

setDefaultTimeout(90_000);

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const busy = { scope: ownScope, key: snapshotKey("busy") };

/** A pool with asynchronous removals, and its worker. */
class Fixture implements AsyncDisposable {
  readonly snapmill: TestSnapmill;
  readonly client: JobClient;
  #worker: ReturnType<typeof startWorker> | undefined;

  private constructor(snapmill: TestSnapmill, client: JobClient) {
    this.snapmill = snapmill;
    this.client = client;
  }

  static async open(pool: string, settings: Record<string, string> = {}): Promise<Fixture> {
    const removal = { SNAPMILL_ASYNC_REMOVE: "true", ...settings };
    const snapmill = new TestSnapmill({ REDIS_URL: redis.url, SNAPMILL_POOL: pool, ...removal });
    const fixture = new Fixture(snapmill, await JobClient.connect({ redisUrl: redis.url, pool: snapmill.config.pool }));
    await fixture.start();
    return fixture;
  }

  async start(): Promise<void> {
    this.#worker = startWorker(this.snapmill);
    expect((await this.#worker.announced).kind).toBe("ready");
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#worker?.child.kill(signal);
    await this.#worker?.child.exited;
  }

  read<T>(look: (database: ReturnType<typeof openDatabase>) => T): T {
    using database = openDatabase(paths.database(this.snapmill.config), { mode: "readonly" });
    return look(database);
  }

  /** Prepares the snapshot "busy" and removes it while it is mounted; `meanwhile` runs before it is unmounted. */
  async whileBusy(meanwhile: (isGone: () => boolean) => Promise<void>): Promise<void> {
    const { mounts } = await this.client.call("prepare", { ...busy, labels: {} });
    const { number } = this.read((database) => deviceOf(database, busy.scope, busy.key));
    const isGone = () => this.read((database) => findDevice(database, number)) === undefined;
    await mounted(mounts, async () => {
      await this.client.call("remove", busy);
      expect(this.snapmill.snapshots()).toEqual([]);
      await meanwhile(isGone);
      expect(isGone()).toBe(false);
    });
    await until("the device is removed", isGone);
    expect(this.read(pendingRemovals)).toEqual([]);
  }

  record(device: DeviceName) {
    return this.read(removalRecords).find((each) => each.device === device);
  }

  /** Waits for a round of the outbox that looks at all removals: one that finds a removal that Redis has lost. */
  async runWholeRound(): Promise<void> {
    const other = { scope: ownScope, key: snapshotKey("lost") };
    const { mounts } = await this.client.call("prepare", { ...other, labels: {} });
    const { deviceName } = this.read((database) => deviceOf(database, other.scope, other.key));
    await mounted(mounts, async () => {
      await this.client.call("remove", other);
      await untilCounts(this.client, { delayed: 1 });
      const [{ pool }, jobId] = [this.snapmill.config, String(this.record(deviceName)?.operationId)];
      await redis.command("DEL", `{snapmill:${pool}}:${pool}.pool:${jobId}`);
      await redis.command("ZREM", `{snapmill:${pool}}:${pool}.pool:delayed`, jobId);
      const { attempts } = this.record(deviceName) ?? { attempts: 0 };
      await until(
        "its removal has failed again",
        () => this.record(deviceName)?.attempts ?? 0,
        (again) => again > attempts,
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.end("SIGTERM");
    expect(this.snapmill.residue()).toEqual([]);
    this.snapmill[Symbol.dispose]();
  }
}

test("a device in use is retried until it is free; other removals and jobs go on meanwhile", async () => {
  await using fixture = await Fixture.open("patient");
  await fixture.whileBusy(async (isGone) => {
    await untilCounts(fixture.client, { delayed: 1 });
    const other = { scope: ownScope, key: snapshotKey("other") };
    await fixture.client.call("prepare", { ...other, labels: {} });
    await fixture.client.call("remove", other);
    await until(
      "the other one is removed",
      () => fixture.read(pendingRemovals),
      ({ length }) => length === 1,
    );
    expect(isGone()).toBe(false);
  });
});

test("a worker that is killed and a Redis that is emptied lose no removal", async () => {
  await using fixture = await Fixture.open("robust");
  await fixture.whileBusy(async () => {
    await fixture.end("SIGKILL");
    await redis.flush();
    await fixture.start();
    await untilCounts(fixture.client, { delayed: 1 });
    await redis.flush();
    await untilCounts(fixture.client, { delayed: 1 });
  });
});

test("a removal that was given up is shown as failed; cleanup and the next start retry it", async () => {
  await using fixture = await Fixture.open("stubborn", {
    SNAPMILL_REMOVE_ATTEMPTS: "2",
    SNAPMILL_REMOVE_FIRST_PAUSE: "3s",
  });
  const { mounts } = await fixture.client.call("prepare", { ...busy, labels: {} });
  await mounted(mounts, async () => {
    await fixture.client.call("remove", busy);
    await untilCounts(fixture.client, { failed: 1 });
    const failed = await fixture.client.failedRemovals();
    const busyId = failed[0]?.operationId;
    expect(failed).toMatchObject(
      fixture.read(pendingRemovals).map(({ operationId, device }) => ({ operationId, device })),
    );
    expect(failed[0]?.reason).toContain("is in use");
    await fixture.runWholeRound();
    expect((await fixture.client.failedRemovals()).filter(({ operationId }) => operationId === busyId)).toEqual(failed);
    await fixture.client.call("cleanup", {});
    await until(
      "the removal has failed again",
      () => fixture.client.failedRemovals(),
      (removals) =>
        removals.some(({ operationId, failedAtMs }) => operationId === busyId && failedAtMs !== failed[0]?.failedAtMs),
    );
  });
  await fixture.end("SIGTERM");
  await fixture.start();
  await until(
    "no removal is left",
    () => fixture.read(pendingRemovals),
    ({ length }) => length === 0,
  );
  await untilCounts(fixture.client, { failed: 0 });
});

test("cleanup removes devices that were given up, and nothing is shown as failed any more", async () => {
  await using fixture = await Fixture.open("cleaned", { SNAPMILL_REMOVE_ATTEMPTS: "1" });
  const { mounts } = await fixture.client.call("prepare", { ...busy, labels: {} });
  await mounted(mounts, async () => {
    await fixture.client.call("remove", busy);
    await untilCounts(fixture.client, { failed: 1 });
  });
  expect(await fixture.client.call("cleanup", {})).toEqual({ removedDevices: 1, removedSnapshots: 0 });
  expect(fixture.read(listDevices).filter(({ role }) => role === "snapshot")).toEqual([]);
  await untilCounts(fixture.client, { failed: 0 });
});
