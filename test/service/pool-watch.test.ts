// Room: test. Owns what an up notes of a pool: restarts for ten minutes, since when troubles are there, what was scraped.
import { expect, setSystemTime, test } from "bun:test";
import { readConfig } from "../../src/config.ts";
import { Tally } from "../../src/domain/tally.ts";
import type { Trouble } from "../../src/domain/verdict-trouble.ts";
import type { MetricReading } from "../../src/service/metrics-reader.ts";
import { samplesOf } from "../../src/service/metrics-reader.ts";
import { PoolWatch } from "../../src/service/pool-watch.ts";
import { scrapedIn, usualDurationsIn } from "../../src/service/watch-readings.ts";
import { well } from "../support/health.ts";

const components = [{ component: "pool", pid: 1, restarts: 0 }];
const watchOf = () =>
  new PoolWatch({
    config: readConfig({}, { SNAPMILL_STATE_DIR: "/nowhere" }),
    children: () => ({
      states: { pool: { kind: "ready", pid: 1 }, unpackers: [{ kind: "starting" }], grpc: undefined, redis: undefined },
      troubles: { pool: [], unpackers: ["it hangs"], grpc: [], redis: [] },
      beats: { pool: 0, unpack: [], grpc: null },
    }),
    components: () => components,
    health: async () => well,
    recordsTrouble: () => null,
  });

test("restarts are told for ten minutes, one by one, also across a clock that is set back", async () => {
  const watch = watchOf();
  const startMs = 1_800_000_000_000;
  try {
    setSystemTime(startMs);
    expect((await watch.current()).restarts).toEqual([]);
    components[0] = { component: "pool", pid: 1, restarts: 2 };
    const found = await watch.current();
    expect(found.restarts).toEqual([
      { component: "pool", atMs: startMs },
      { component: "pool", atMs: startMs },
    ]);
    expect(found.children).toEqual([
      { kind: "pool", state: "ready" },
      { kind: "unpack", state: "starting" },
    ]);
    expect(found.troubles.unpack).toEqual(["it hangs"]);
    setSystemTime(startMs + 599_000);
    expect((await watch.current()).restarts).toHaveLength(2);
    setSystemTime(startMs - 3_600_000);
    expect((await watch.current()).restarts).toHaveLength(0);
  } finally {
    setSystemTime();
  }
});

test("a trouble is there since it was first told, until it is gone once", () => {
  const watch = watchOf();
  const trouble = (code: string, since: number | null = null) => ({ code, since }) as Trouble;
  expect(watch.noteTroubles([trouble("a"), trouble("b", 3)], 100)).toEqual({ a: 100, b: 3 });
  expect(watch.noteTroubles([trouble("a")], 200)).toEqual({ a: 100 });
  expect(watch.noteTroubles([], 300)).toEqual({});
  expect(watch.noteTroubles([trouble("a")], 400)).toEqual({ a: 400 });
});

const gauge = (name: string, ...samples: readonly [Record<string, string>, number][]): MetricReading => ({
  name,
  kind: "gauge",
  help: "",
  labels: [],
  samples: samples.map(([labels, value]) => ({ labels, value })),
});

test("a pool that was read and takes no space is not attached; of one that was not read, nothing is known", () => {
  const build = gauge("snapmill_build_info", [{ driver: "devmapper" }, 1]);
  const read = (incomplete: number) => gauge("snapmill_scrape_incomplete", [{ part: "pool" }, incomplete]);
  expect(scrapedIn([build, read(0)])).toMatchObject({ driver: "devmapper", isAttached: false, doctor: null });
  expect(scrapedIn([build, read(1)]).isAttached).toBeNull();
  const used = gauge("snapmill_pool_used_bytes", [{ area: "data" }, 7]);
  const state = gauge("snapmill_pool_state", [{ state: "rw" }, 0], [{ state: "needs_check" }, 1]);
  const ages = gauge("snapmill_queue_oldest_job_age_seconds", [{ queue: "pool" }, 2], [{ queue: "unpack" }, 3]);
  const doctor = [
    gauge("snapmill_doctor_last_run_timestamp_seconds", [{}, 50]),
    gauge("snapmill_doctor_findings", [{ kind: "pool-state" }, 1], [{ kind: "stuck-state" }, 2]),
  ];
  expect(scrapedIn([build, read(0), used, state, ages, ...doctor])).toEqual({
    driver: "devmapper",
    isAttached: true,
    poolState: "needs_check",
    oldestWaitingMs: { pool: 2000, unpack: 3000 },
    doctor: { atMs: 50_000, findings: 3 },
  });
});

test("how long operations usually take is told of those that succeed, when there are enough", () => {
  const tally = new Tally();
  for (let count = 0; count < 30; count += 1) {
    tally.observe("snapmill_operation_duration_seconds", { operation: "prepare", code: "ok" }, 0.2);
    tally.observe("snapmill_operation_duration_seconds", { operation: "commit", code: "internal" }, 0.2);
  }
  tally.observe("snapmill_operation_duration_seconds", { operation: "remove", code: "ok" }, 0.2);
  const readings = samplesOf(tally.series).map(([name, samples]) => ({ ...gauge(name), samples }));
  const usual = usualDurationsIn(readings);
  expect([...usual.keys()]).toEqual(["prepare"]);
  expect(usual.get("prepare")).toBeGreaterThan(100);
  expect(usual.get("prepare")).toBeLessThanOrEqual(250);
});
