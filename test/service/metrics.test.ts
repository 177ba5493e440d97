// Room: test. Owns the list of metrics: what the documentation says of them, and what a reading holds of every state.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { noItems } from "../../src/domain/batches.ts";
import { deviceStates } from "../../src/domain/devices.ts";
import { snapshotKinds } from "../../src/domain/snapshots.ts";
import { Tally } from "../../src/domain/tally.ts";
import { statusGauges } from "../../src/service/metrics.ts";
import { metrics, samplesOf } from "../../src/service/metrics-reader.ts";
import type { Status } from "../../src/service/status.ts";

test("docs/METRICS.md describes each metric as it is declared", async () => {
  const text = await Bun.file(join(import.meta.dir, "../../docs/METRICS.md")).text();
  const rows = [...text.matchAll(/^\| ((?:snapmill|process)_\w+) \| (.*) \| (.*) \|$/gm)].map(
    ([, name, labels, help]) => ({
      name,
      labels: labels?.trim(),
      help,
    }),
  );
  expect(rows.length).toBeGreaterThan(5);
  expect(rows).toEqual(metrics.map(({ name, labels, help }) => ({ name, labels: labels.join(", "), help })));
});

test("a histogram's buckets count what is in those below them, too, and the last one everything", () => {
  const tally = new Tally();
  for (const seconds of [0.002, 0.004, 5, 7000]) {
    tally.observe("snapmill_job_wait_seconds", { queue: "pool", job: "prepare" }, seconds);
  }
  const [[name, samples] = ["", []]] = samplesOf(tally.series);
  expect(name).toBe("snapmill_job_wait_seconds");
  const buckets = samples.filter(({ metricName }) => metricName === `${name}_bucket`);
  expect(buckets.map(({ labels, value }) => `${labels["le"] ?? ""}: ${value}`)).toEqual(
    "0.001: 0,0.005: 2,0.025: 2,0.1: 2,0.5: 2,1: 2,5: 3,15: 3,60: 3,300: 3,900: 3,3600: 3,+Inf: 4".split(","),
  );
  expect(samples.slice(buckets.length)).toEqual([
    { metricName: `${name}_sum`, labels: { queue: "pool", job: "prepare" }, value: 7005.006 },
    { metricName: `${name}_count`, labels: { queue: "pool", job: "prepare" }, value: 4 },
  ]);
});

test("no metric has a label that could hold a key, a digest, a device or an image", () => {
  const known =
    "code component driver job kind method operation part queue registry result route stage state version area";
  for (const { name, labels } of metrics) for (const label of labels) expect(known.split(" "), name).toContain(label);
});

const nothingYet: Status = {
  stateDir: "/state",
  inflate: { library: "node:zlib", version: null, reason: null },
  pool: "default",
  running: null,
  readiness: null,
  redis: { url: "redis://localhost", failure: "connect ECONNREFUSED" },
  queues: null,
  oldestWaitingMs: null,
  workers: null,
  claim: null,
  metadata: null,
};
const empty: NonNullable<Status["metadata"]> = {
  driver: "devmapper",
  snapshots: { active: 0, view: 0, committed: 2 },
  devices: {},
  hold: null,
  pendingUnpacks: 0,
  batchItems: { ...noItems, done: 3 },
  pendingRemovals: 3,
  failedRemovals: 1,
  discardedRemovals: 4,
  setAside: 0,
  space: { usedBytes: 10, totalBytes: 100 },
  metadataSpace: { usedBytes: 1, totalBytes: 4 },
  poolState: "ro",
};

/** Each reading as `name{labels} value`, without its name's prefix. */
const readings = (found: Status): string[] =>
  statusGauges.flatMap(({ name, read }) =>
    (read(found) ?? []).map(({ labels, value }) => {
      const texts = Object.entries(labels).map(([label, text]) => `${label}=${text}`);
      return `${name.replace("snapmill_", "")}{${texts.join(",")}} ${value}`;
    }),
  );

test("what is unknown is absent, not 0", () => {
  expect(readings(nothingYet)).toEqual([
    "scrape_incomplete{part=queues} 1",
    "scrape_incomplete{part=pool} 1",
    "redis_up{} 0",
  ]);
  expect(readings({ ...nothingYet, metadata: { ...empty, space: null, poolState: null } }).join("\n")).not.toMatch(
    /pool_(used|size|state)|queue_/,
  );
});

test("every state is there, also those that count 0", () => {
  const found = readings({ ...nothingYet, metadata: empty });
  for (const kind of snapshotKinds) expect(found).toContain(`snapshots{kind=${kind}} ${kind === "committed" ? 2 : 0}`);
  for (const state of deviceStates) expect(found).toContain(`devices{state=${state}} 0`);
  expect(found).toContain("removals{state=pending} 2");
  expect(found).toContain("removals{state=failed} 1");
  expect(found).toContain("removals{state=discarded} 4");
  expect(found).toContain("pool_state{state=ro} 1");
  expect(found).toContain("pool_state{state=rw} 0");
  expect(found).toContain("pool_used_bytes{area=metadata} 1");
  expect(found).toContain("batch_items{state=done} 3");
  expect(found).toContain("batch_items{state=failed} 0");
});

const counts = { waiting: 1, active: 0, delayed: 0, completed: 5, failed: 0 };
const full: Status = {
  ...nothingYet,
  queues: { pool: counts, unpack: counts },
  oldestWaitingMs: { pool: 0, unpack: 1500 },
  workers: { pool: 1, unpack: 2 },
  metadata: empty,
};

test("a metric's labels are those that its samples have", () => {
  for (const { name, labels, read } of statusGauges) {
    const samples = read(full);
    expect(samples?.length, name).toBeGreaterThan(0);
    for (const sample of samples ?? []) expect(Object.keys(sample.labels).toSorted(), name).toEqual(labels.toSorted());
  }
});

test("a metric has the same samples whatever is counted", () => {
  const devices = Object.fromEntries(deviceStates.map((state) => [state, 1]));
  const counted: Status = { ...full, metadata: { ...empty, devices, poolState: "out_of_data_space" } };
  for (const { name, read } of statusGauges) {
    const labelsOf = (found: Status) => (read(found) ?? []).map(({ labels }) => labels);
    expect(labelsOf(counted), name).toEqual(labelsOf(full));
  }
});
