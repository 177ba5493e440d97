// Room: test. Owns the verdict on a real snapmill: what is wrong comes into it, says since when, and goes again.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync, renameSync } from "node:fs";
import { paths } from "../../src/config.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start({ SNAPMILL_ASYNC_REMOVE: "true" });
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const look = async () => (await api.pool("/verdict")).body;
const findings = async (): Promise<{ code: string }[]> => (await look()).findings;
const codes = async () => (await findings()).map(({ code }) => code);
const told = (code: string) => until(`the verdict tells ${code}`, codes, (found) => found.includes(code));
const gone = (code: string) => until(`the verdict no longer tells ${code}`, codes, (found) => !found.includes(code));
const statusLines = async () => (await api.place.run("status")).stdout.split("\n");

test("all is well in a pool that has just been made, over HTTP and by the command", async () => {
  await until(
    "there is a first sample",
    async () => (await look()).sentence,
    (sentence) => /% full/.test(sentence),
  );
  expect(await look()).toMatchObject({ severity: "ok", code: "all-well", pool: "default", remedy: null, findings: [] });
  const { body } = await api.ask("/v1/verdict");
  expect(body).toMatchObject({ severity: "ok", pools: [{ pool: "default" }] });
  expect((await statusLines())[0]).toMatch(/^Verdict +all is well: pool default is in service/);
});

test("a pause is told with who and why since when, with its remedy, which ends it", async () => {
  const begunMs = Date.now();
  const path = "/v1/pools/default/queues/unpack/pause";
  await api.ask(path, { method: "POST", body: { reason: "a test" } });
  const found = await look();
  expect(found).toMatchObject({
    severity: "notice",
    code: "queue-held",
    sentence: "unpacks are paused by token dashboard (a test)",
    remedy: { operation: "releaseQueue", input: {}, command: "snapmill resume" },
  });
  expect(found.since).toBeGreaterThanOrEqual(begunMs);
  expect((await statusLines())[0]).toMatch(/^Verdict +notice: unpacks are paused .* \(since 20/);
  const [, ...words] = found.remedy.command.split(" ");
  expect((await api.place.run(...words)).exitCode).toBe(0);
  expect(await codes()).not.toContain("queue-held");
});

test("a worker that is stopped hangs, one that is killed is down or was started again, and both are forgotten", async () => {
  const [pid] = api.place.pidsOf("workers/pool.ts");
  if (pid === undefined) throw new Error("there is no pool worker");
  process.kill(pid, "SIGSTOP");
  await told("worker-hangs");
  expect(await look()).toMatchObject({ severity: "critical", sentence: expect.stringContaining(`kill -CONT ${pid}`) });
  process.kill(pid, "SIGCONT");
  await gone("worker-hangs");
  process.kill(pid, "SIGKILL");
  await told("workers-restarting");
  await gone("worker-down");
  expect(await look()).toMatchObject({ severity: "notice", sentence: expect.stringContaining("pool, 1 time") });
});

test("a database of records that is taken away is told, since changes over HTTP are refused until it is back", async () => {
  const path = paths.serviceDatabase(api.place.config);
  const prepare = async () => (await api.pool("/snapshots/unrecorded/prepare", { method: "POST", body: {} })).status;
  renameSync(path, `${path}.aside`);
  try {
    expect(await look()).toMatchObject({ severity: "critical", code: "records-unwritable" });
    expect(await prepare()).toBe(503);
  } finally {
    renameSync(`${path}.aside`, path);
  }
  await gone("records-unwritable");
  expect(await prepare()).toBe(200);
});

test("Redis that dies is told while it is away", async () => {
  const [pid] = api.place.pidsOf("redis-server");
  if (pid === undefined) throw new Error("there is no Redis");
  process.kill(pid, "SIGSTOP");
  await told("redis-away");
  const first = await look();
  expect(first).toMatchObject({ severity: "critical", code: "redis-away", pool: "default" });
  const again = await look();
  expect(again.since).toBe(first.since);
  process.kill(pid, "SIGCONT");
  await gone("redis-away");
});

test("a removal in vain is told with its holder, and a command beside up knows what up knows", async () => {
  const prepared = await api.pool("/snapshots/held/prepare", { method: "POST", body: {} });
  const device: string = prepared.body.mounts[0].source;
  const fd = openSync(device, "r");
  try {
    await api.pool("/snapshots/held", { method: "DELETE" });
    const failing = await until(
      "its removal has failed several times",
      findings,
      (found) => found.some(({ code }) => code === "removals-failing"),
      60_000,
    );
    expect(failing.find(({ code }) => code === "removals-failing")).toMatchObject({
      severity: "notice",
      sentence: expect.stringMatching(
        new RegExp(`^1 removal tried in vain.*: the device is open in process ${process.pid}`),
      ),
      remedy: { operation: "retryRemovals", input: { all: true } },
    });
    const besides = (await statusLines()).filter((line) => /^(Verdict|Besides)/.test(line)).join("\n");
    expect(besides).toContain("1 removal tried in vain");
    expect(besides).not.toContain("no 'snapmill up'");
  } finally {
    closeSync(fd);
  }
  await api.pool("/removals/retry", { method: "POST", body: { all: true } });
  await gone("removals-failing");
});

test("where nothing runs, that is told, and the same commands work", async () => {
  await api.end();
  const { stdout } = await api.place.run("status", "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    verdict: { severity: "notice", code: "not-running", findings: [{ code: "not-running" }] },
    running: null,
  });
});
