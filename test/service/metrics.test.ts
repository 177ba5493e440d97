// Room: test. Owns the list of metrics: what the documentation says of them, and what a reading holds of every state.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { deviceStates } from "../../src/domain/devices.ts";
import { snapshotKinds } from "../../src/domain/snapshots.ts";
import { metrics } from "../../src/service/metrics.ts";
import type { Status } from "../../src/service/status.ts";

test("docs/METRICS.md describes each metric as it is declared", async () => {
  const text = await Bun.file(join(import.meta.dir, "../../docs/METRICS.md")).text();
  const rows = [...text.matchAll(/^\| (snapmill_\w+) \| (.*) \| (.*) \|$/gm)].map(([, name, labels, help]) => ({
    name,
    labels: labels?.trim(),
    help,
  }));
  expect(rows.length).toBeGreaterThan(5);
  expect(rows).toEqual(metrics.map(({ name, labels, help }) => ({ name, labels: labels.join(", "), help })));
});

const nothingYet: Status = {
  stateDir: "/state",
  inflate: { library: "node:zlib", version: null, reason: null },
  pool: "default",
  running: null,
  redis: { url: "redis://localhost", failure: "connect ECONNREFUSED" },
  queues: null,
  workers: null,
  claim: null,
  failedRemovals: null,
  metadata: null,
};
const empty: NonNullable<Status["metadata"]> = {
  driver: "devmapper",
  snapshots: { active: 0, view: 0, committed: 2 },
  devices: {},
  pendingUnpacks: 0,
  pendingRemovals: 3,
  setAside: 0,
  space: { usedBytes: 10, totalBytes: 100 },
  metadataSpace: { usedBytes: 1, totalBytes: 4 },
  poolState: "ro",
};

/** Each reading as `name{labels} value`, without its name's prefix. */
const readings = (found: Status): string[] =>
  metrics.flatMap(({ name, read }) =>
    (read(found) ?? []).map(({ labels, value }) => {
      const texts = Object.entries(labels).map(([label, text]) => `${label}=${text}`);
      return `${name.replace("snapmill_", "")}{${texts.join(",")}} ${value}`;
    }),
  );

test("what is unknown is absent, not 0", () => {
  expect(readings(nothingYet)).toEqual(["redis_up{} 0"]);
  expect(readings({ ...nothingYet, metadata: { ...empty, space: null, poolState: null } }).join("\n")).not.toMatch(
    /pool_(used|size|state)|queue_|removals/,
  );
});

test("every state is there, also those that count 0", () => {
  const found = readings({ ...nothingYet, metadata: empty, failedRemovals: 1 });
  for (const kind of snapshotKinds) expect(found).toContain(`snapshots{kind=${kind}} ${kind === "committed" ? 2 : 0}`);
  for (const state of deviceStates) expect(found).toContain(`devices{state=${state}} 0`);
  expect(found).toContain("removals{state=pending} 2");
  expect(found).toContain("removals{state=failed} 1");
  expect(found).toContain("pool_state{state=ro} 1");
  expect(found).toContain("pool_state{state=rw} 0");
  expect(found).toContain("pool_used_bytes{area=metadata} 1");
  expect(found).toContain("pool_info{driver=devmapper} 1");
});

const counts = { waiting: 1, active: 0, delayed: 0, completed: 5, failed: 0 };
const full: Status = {
  ...nothingYet,
  queues: { pool: counts, unpack: counts },
  workers: { pool: 1, unpack: 2 },
  failedRemovals: 0,
  metadata: empty,
};

test("a metric's labels are those that its samples have", () => {
  for (const { name, labels, read } of metrics) {
    const samples = read(full);
    expect(samples?.length, name).toBeGreaterThan(0);
    for (const sample of samples ?? []) expect(Object.keys(sample.labels).toSorted(), name).toEqual(labels.toSorted());
  }
});

test("a metric has the same samples whatever is counted", () => {
  const devices = Object.fromEntries(deviceStates.map((state) => [state, 1]));
  const counted: Status = { ...full, metadata: { ...empty, devices, poolState: "out_of_data_space" } };
  for (const { name, read } of metrics) {
    const labelsOf = (found: Status) => (read(found) ?? []).map(({ labels }) => labels);
    expect(labelsOf(counted), name).toEqual(labelsOf(full));
  }
});
