// Room: test. Owns the proof of the history on a real snapmill: a pool that fills, and what was done to it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { Tally } from "../../src/domain/tally.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { serviceSchema } from "../../src/metadata/migrations.ts";
import { readTrend } from "../../src/service/history.ts";
import { HistoryRecorder } from "../../src/service/history-recorder.ts";
import { MetricsReader } from "../../src/service/metrics-reader.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start({ SNAPMILL_DEVICE_SIZE: "512MiB" });
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const mebibyte = 2 ** 20;

test("a pool that fills is full when the trend says, as the driver measures it", async () => {
  const { config } = api.place;
  const prepared = await api.pool("/snapshots/filling/prepare", { method: "POST", body: {} });
  const device: string = prepared.body.mounts[0].source;
  const path = join(api.place.directory, "own.db");
  using database = openDatabase(path, { mode: "readwrite", schema: serviceSchema });
  const reader = new MetricsReader(config, "0", { observed: new Tally(), components: [] });
  using recorder = new HistoryRecorder({
    database: () => database,
    pools: [{ pool: config.pool, readings: () => reader.read() }],
    readyPools: async () => [config.pool],
    onTrouble: (sentence) => {
      throw new Error(sentence);
    },
  });
  // An hour's clock in seconds: 8 MiB in each ten seconds of it.
  const startMs = 1_800_000_000_000;
  const steps = 24;
  const fd = openSync(device, "r+");
  try {
    for (let step = 0; step < steps; step += 1) {
      writeSync(fd, randomBytes(8 * mebibyte), 0, 8 * mebibyte, (64 + 8 * step) * mebibyte);
      fsyncSync(fd);
      await recorder.sample(startMs + step * 10_000);
    }
  } finally {
    closeSync(fd);
  }
  const nowMs = startMs + (steps - 1) * 10_000;
  const { space } = (await api.pool("/status")).body.metadata;
  const expectedMs = ((space.totalBytes - space.usedBytes) / (8 * mebibyte)) * 10_000;
  const { data, metadata } = readTrend(database, config.pool, nowMs);
  expect(metadata).toBeNull();
  expect(data?.fit).toBeGreaterThan(0.9);
  expect((data?.fullAtMs ?? 0) - nowMs).toBeGreaterThan(0.85 * expectedMs);
  expect((data?.fullAtMs ?? 0) - nowMs).toBeLessThan(1.15 * expectedMs);
});

test("the history shows what was done, by whom, with what result, over HTTP and by a command, and survives a restart", async () => {
  const { reference } = await writeSmallImage(join(api.place.directory, "image"));
  await api.pool("/images/unpack", {
    method: "POST",
    headers: { prefer: "wait=60" },
    body: { reference, platform: "linux/amd64" },
  });
  await api.pool("/cleanup", { method: "POST", headers: { prefer: "wait=60" }, body: {} });
  await api.pool("/grow", { method: "POST", headers: { prefer: "wait=60" }, body: {} });
  expect((await api.place.run("queues", "pause", "--reason", "a test")).exitCode).toBe(0);
  expect((await api.place.run("resume")).exitCode).toBe(0);
  const marksIn = async () => (await api.pool("/history?range=day&points=24")).body.marks;
  const marks = await marksIn();
  expect(marks).toMatchObject([
    { kind: "unpack", subject: reference, code: "ok" },
    { kind: "cleanup", token: "dashboard", code: "ok" },
    { kind: "grow", token: "dashboard", code: "failed_precondition" },
    { kind: "pause", token: null, code: "ok" },
    { kind: "resume", token: null, code: "ok" },
  ]);
  await api.restart();
  expect(await marksIn()).toEqual(marks);
});

test("an up records by itself, and the history is there without it", async () => {
  const found = await until(
    "there is a point with what the unpack has written",
    async () => (await api.pool("/history")).body,
    ({ points }) => points.at(-1)?.snapshots > 1 && points.at(-1).readyShare === 1,
  );
  expect(found.points.at(-1)).toMatchObject({ failedRemovals: 0, data: { usedBytes: expect.any(Number) } });
  expect((await api.pool("/history?points=0")).status).toBe(400);
  expect((await api.pool("/history?range=week")).status).toBe(400);
  const many = (await api.pool("/history?range=quarter&points=1440")).body;
  expect(many.stepMs).toBe(6 * 900_000);
  using database = openDatabase(paths.serviceDatabase(api.place.config), { mode: "readonly", schema: serviceSchema });
  expect(database.drizzle.get<[number]>("select count(*) from history")?.[0]).toBeGreaterThanOrEqual(3);
});
