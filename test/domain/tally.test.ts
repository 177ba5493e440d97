import { expect, test } from "bun:test";
import { declarationOf, observedNames, widthOf } from "../../src/domain/observed-metrics.ts";
import { encodeSeries, Ledger, labelNamesOf, parseSeries, Tally } from "../../src/domain/tally.ts";

const of = (tally: Tally, name: string) => tally.series.filter((series) => series.name === name);

test("a histogram counts, sums, and puts each observation into its smallest bucket", () => {
  const tally = new Tally();
  for (const seconds of [0.0001, 0.003, 0.003, 4000]) {
    tally.observe("snapmill_job_wait_seconds", { job: "prepare", queue: "pool" }, seconds);
  }
  const [{ values, amounts } = { values: [], amounts: [] }, ...others] = tally.series;
  expect(others).toEqual([]);
  expect(values).toEqual(["pool", "prepare"]);
  expect(amounts).toEqual([4, 4000.0061, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("an open label has a bounded number of values, and none that breaks a line", () => {
  const tally = new Tally();
  for (let number = 0; number < 50; number += 1) {
    tally.count("snapmill_registry_requests_total", { registry: `registry-${number}.test`, code: "200" });
  }
  tally.count("snapmill_registry_requests_total", { registry: "registry-3.test", code: "2\n00" });
  expect(of(tally, "snapmill_registry_requests_total")).toHaveLength(22);
  expect(tally.series.find(({ values }) => values[0] === "other")?.amounts).toEqual([30]);
  expect(tally.series.at(-1)?.values).toEqual(["registry-3.test", "2?00"]);
});

test("every combination of closed labels is there from the start, with 0", () => {
  const tally = new Tally();
  tally.startAll();
  for (const name of observedNames) {
    const { labels } = declarationOf(name);
    const isClosed = Object.values(labels).every((allowed) => !("most" in allowed));
    const series = of(tally, name);
    expect(series.length > 0, name).toBe(isClosed);
    for (const { amounts } of series) expect(amounts, name).toEqual(Array(widthOf(declarationOf(name))).fill(0));
  }
  expect(of(tally, "snapmill_layers_total").map(({ values }) => values[0])).toEqual(["unpacked", "cached", "failed"]);
});

test("a report survives lost and repeated ones, a restart of its process, and the totals never go back", () => {
  const totals = new Tally();
  const cached = { name: "snapmill_layers_total", values: ["cached"] } as const;
  const total = () => of(totals, cached.name)[0]?.amounts[0];
  const first = new Ledger(totals);
  first.enter({ ...cached, amounts: [2] });
  first.enter({ ...cached, amounts: [7] });
  first.enter({ ...cached, amounts: [7] });
  expect(total()).toBe(7);
  const second = new Ledger(totals);
  second.enter({ ...cached, amounts: [1] });
  expect(total()).toBe(8);
  second.enter({ ...cached, amounts: [-5] });
  expect(total()).toBe(8);
});

test("a gauge is what was reported last", () => {
  const totals = new Tally();
  const ledger = new Ledger(totals);
  const findings = { name: "snapmill_doctor_findings", values: ["stuck-state"] } as const;
  ledger.enter({ ...findings, amounts: [3] });
  ledger.enter({ ...findings, amounts: [1] });
  new Ledger(totals).enter({ ...findings, amounts: [2] });
  expect(totals.series[0]?.amounts).toEqual([2]);
});

test("what could not be told is told next time, and nothing twice", () => {
  const tally = new Tally();
  tally.count("snapmill_layers_total", { result: "cached" });
  const full = () => {
    throw new Error("EAGAIN");
  };
  expect(() => tally.tellChanges(full)).toThrow("EAGAIN");
  const told: string[] = [];
  const tell = () => tally.tellChanges((series) => told.push(encodeSeries(series)));
  tell();
  tell();
  tally.count("snapmill_layers_total", { result: "cached" }, 4);
  tell();
  expect(told).toEqual(['["snapmill_layers_total",["cached"],[1]]', '["snapmill_layers_total",["cached"],[5]]']);
});

test("a series is read as it was written, and nothing else is read as one", () => {
  const tally = new Tally();
  tally.observe("snapmill_redis_roundtrip_seconds", {}, 0.01);
  for (const series of tally.series) {
    const { name, values, amounts } = series;
    expect(parseSeries(JSON.parse(encodeSeries(series)))).toEqual({ name, values, amounts });
  }
  for (const wrong of [
    null,
    ["no_such_total", [], [1]],
    ["snapmill_layers_total", ["cached"], [1, 2]],
    ["snapmill_layers_total", [], [1]],
    ["snapmill_layers_total", [3], [1]],
    ["snapmill_layers_total", ["cached"], ["1"]],
    ["snapmill_layers_total", ["cached"], [1], 1],
  ]) {
    expect(parseSeries(wrong)).toBeUndefined();
  }
});

test("a series' line is shorter than what a pipe takes as a whole, with the longest names and numbers there are", () => {
  for (const name of observedNames) {
    const values = labelNamesOf(name).map(() => "\u{1F600}".repeat(50));
    const amounts = Array<number>(widthOf(declarationOf(name))).fill(-Number.MAX_VALUE / 3);
    expect(Buffer.byteLength(`seen ${encodeSeries({ name, values, amounts })}\n`)).toBeLessThan(4096);
  }
});
