// Room: test. Owns the proof of the history's rings: what they keep, how many rows they have, and what a clock can do to them.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HistoryRange, historyRanges, historyRings, spanMs } from "../../src/domain/history.ts";
import { Tally } from "../../src/domain/tally.ts";
import { type Database, openDatabase } from "../../src/metadata/database.ts";
import { readHistory, recordSamples } from "../../src/metadata/history.ts";
import { serviceSchema } from "../../src/metadata/migrations.ts";
import { HistoryRecorder } from "../../src/service/history-recorder.ts";
import { HistorySampler } from "../../src/service/history-sampler.ts";
import type { MetricReading } from "../../src/service/metrics-reader.ts";
import { samplesOf } from "../../src/service/metrics-reader.ts";
import { aPoint } from "../support/history.ts";

let directory = "";
let database: Database;
const open = () => openDatabase(join(directory, "service.db"), { mode: "readwrite", schema: serviceSchema });
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-history-"));
  database = open();
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

const start = 1_800_000_000_000;
const minute = 60_000;
const record = (atMs: number, given: object = {}, pool = "default") =>
  recordSamples(
    database,
    new Map([[pool, aPoint({ atMs, dataUsedBytes: atMs - start, dataTotalBytes: 1, ...given })]]),
  );
const read = (ring: HistoryRange, untilMs: number, pool = "default") =>
  readHistory(database, { pool, ring, afterMs: untilMs - spanMs(ring), untilMs });
const rowCount = () => database.drizzle.get<[number]>("select count(*) from history")?.[0];

describe("the rings", () => {
  test("keep an hour by ten seconds, more by the minute and the quarter of an hour, and never more rows", () => {
    const end = start + 2 * 3_600_000;
    for (let atMs = start; atMs < end; atMs += 10_000) record(atMs, { unpackedLayers: 1 });
    expect(read("hour", end - 1).length).toBe(360);
    expect(read("hour", end - 1)[0]?.atMs).toBe(end - 3_600_000);
    expect(read("day", end - 1).length).toBe(120);
    expect(read("day", end - 1).every(({ unpackedLayers, samples }) => unpackedLayers === 6 && samples === 6)).toBe(
      true,
    );
    expect(read("day", end - 1)[1]?.dataUsedBytes).toBe(minute + 25_000);
    expect(read("quarter", end - 1).map(({ unpackedLayers }) => unpackedLayers)).toEqual(Array(8).fill(90));
    expect(rowCount()).toBe(360 + 120 + 8);
  });

  test("survive a restart in the middle of a step, which goes on", () => {
    record(start, { unpackedBytes: 5 });
    database.close();
    database = open();
    record(start + 20_000, { unpackedBytes: 7 });
    expect(read("day", start + 30_000).map(({ unpackedBytes }) => unpackedBytes)).toEqual([12]);
  });

  test("of several pools do not mix", () => {
    record(start, { snapshots: 1 }, "one");
    record(start, { snapshots: 2 }, "two");
    expect(read("hour", start, "two").map(({ snapshots }) => snapshots)).toEqual([2]);
  });
});

describe("a clock that is set", () => {
  test("back: what was recorded of the same time is kept, what is of the future is not shown, and order holds", () => {
    for (let step = 0; step < 30; step += 1) record(start + step * 10_000);
    const back = start + 100_000;
    for (let step = 0; step < 5; step += 1) record(back + step * 10_000);
    const shown = read("hour", back + 40_000);
    expect(shown.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 15 }, (_, step) => start + step * 10_000));
    expect(shown.map(({ samples }) => samples)).toEqual([...Array(10).fill(1), ...Array(5).fill(2)]);
  });

  test("a year ahead for a while, and right again: the past is there, and nothing of the future", () => {
    for (let step = 0; step < 60; step += 1) record(start + step * 10_000);
    const ahead = start + 365 * 86_400_000 + 3_333;
    for (let step = 0; step < 3; step += 1) record(ahead + step * 10_000);
    record(start + 600_000);
    const shown = read("hour", start + 600_000);
    expect(shown.length).toBeGreaterThanOrEqual(61 - 3);
    expect(shown.every(({ atMs }) => atMs <= start + 600_000)).toBe(true);
    for (const ring of historyRanges) {
      const { places } = historyRings[ring];
      expect(read(ring, start + 600_000).length).toBeLessThanOrEqual(places);
    }
  });
});

/** As `up` reads them. */
function readingsOf(tally: Tally, gauges: Readonly<Record<string, number>>): MetricReading[] {
  const reading = { kind: "gauge", help: "", labels: [] } as const;
  return [
    ...samplesOf(tally.series).map(([name, samples]) => ({ ...reading, name, samples })),
    ...Object.entries(gauges).map(([name, value]) => ({ ...reading, name, samples: [{ labels: {}, value }] })),
  ];
}

describe("a sample", () => {
  test("says what has happened since the one before, and what failed, but not what a client had to expect", () => {
    const tally = new Tally();
    const sampler = new HistorySampler();
    const take = () => sampler.take(readingsOf(tally, { snapmill_snapshots: 4 }), { atMs: start, isReady: false });
    const ended = (operation: string, code: "ok" | "not_found" | "already_exists" | "internal") =>
      tally.observe("snapmill_operation_duration_seconds", { operation, code }, 0.1);
    tally.count("snapmill_unpack_written_bytes_total", {}, 1000);
    ended("prepare", "internal");
    ended("prepare", "ok");
    expect(take()).toMatchObject({ unpackedBytes: 1000, failures: { "prepare internal": 1 }, snapshots: 4 });
    tally.count("snapmill_unpack_written_bytes_total", {}, 50);
    tally.count("snapmill_layers_total", { result: "cached" });
    tally.count("snapmill_layers_total", { result: "unpacked" });
    ended("prepare", "already_exists");
    ended("unpack", "not_found");
    expect(take()).toMatchObject({
      unpackedBytes: 50,
      unpackedLayers: 1,
      failures: { "unpack not_found": 1 },
      readySamples: 0,
      dataUsedBytes: null,
      spaceSamples: 0,
    });
    expect(take()).toMatchObject({ unpackedBytes: 0, failures: {} });
  });
});

describe("the recorder", () => {
  const sentences: string[] = [];
  const recorderOf = (from: () => Database, pools = ["default"]) =>
    new HistoryRecorder({
      database: from,
      pools: pools.map((pool) => ({ pool, readings: async () => readingsOf(new Tally(), { snapmill_devices: 3 }) })),
      readyPools: async () => ["default"],
      onTrouble: (sentence) => sentences.push(sentence),
    });

  test("writes each pool, with whether it is ready", async () => {
    using recorder = recorderOf(() => database, ["default", "other"]);
    await recorder.sample(start);
    expect(read("hour", start)).toMatchObject([{ devices: 3, readySamples: 1 }]);
    expect(read("hour", start, "other")).toMatchObject([{ devices: 3, readySamples: 0 }]);
  });

  test("says once that it cannot write, goes on, and says when it can again", async () => {
    sentences.length = 0;
    let isBroken = true;
    using recorder = recorderOf(() => {
      if (isBroken) throw new Error("the disk is full");
      return database;
    });
    await recorder.sample(start);
    await recorder.sample(start + 10_000);
    expect(sentences).toEqual(["the history is not recorded: the disk is full; all else goes on"]);
    isBroken = false;
    await recorder.sample(start + 20_000);
    expect(sentences).toHaveLength(2);
    expect(read("hour", start + 20_000)).toHaveLength(1);
  });

  test("forgets a pool that has not been served for longer than the history goes back, and no other", async () => {
    record(start - spanMs("quarter") - minute, {}, "ancient");
    record(start - minute, {}, "lately");
    using recorder = recorderOf(() => database);
    await recorder.sample(start);
    const pools = database.drizzle.all<{ pool: string }>("select distinct pool from history order by pool");
    expect(pools.map(({ pool }) => pool)).toEqual(["default", "lately"]);
  });
});
