// 100,000 calls to a real `up`: nothing of it grows that is not meant to.
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { until } from "../../support/until.ts";
import { RunningApi } from "./running-api.ts";

setDefaultTimeout(300_000);

/** A multiple of 80: ten connections, eight kinds of requests. */
const calls = Number(Bun.env["SNAPMILL_TEST_CALLS"] ?? 100_000);
/** What the first calls make: compiled code, statements, connections. */
const warmUpCalls = Math.min(10_000, calls);
const connections = 10;
const changes = 200;
/** What up opens now and then for itself: far less than one for each call, or each change. */
const spare = 10;
const mayGrowBytes = 64 * 2 ** 20;

/** Of the process itself. */
function sizesOf(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  const descriptors = readdirSync(`/proc/${pid}/fd`).length;
  return { residentBytes: field("VmRSS") * 1024, threads: field("Threads"), descriptors };
}

/** Sends `count` of the requests, in turn, over one connection, each when the last was answered; the statuses, counted. */
async function callAll(
  port: number,
  requests: readonly Buffer[],
  count: number,
  seen: Map<string, number>,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let done = 0;
  let text = "";
  const socket = connect(port, "127.0.0.1", () => send());
  const send = () => void socket.write(requests[done % requests.length] ?? "");
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end === -1) return;
    const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, end))?.[1] ?? 0);
    if (text.length < end + 4 + length) return;
    const status = text.slice(9, 12);
    seen.set(status, (seen.get(status) ?? 0) + 1);
    text = text.slice(end + 4 + length);
    done += 1;
    if (done === count) resolve();
    else send();
  });
  socket.on("error", reject);
  socket.on("close", () => reject(new Error(`the connection ended after ${done} of ${count} calls`)));
  await promise.finally(() => socket.destroy());
}

test(`${calls} calls leave memory, descriptors, threads and the audit log as they were`, async () => {
  await using api = await RunningApi.start({ SNAPMILL_HTTP_RATE: "1000000" });
  const port = Number(new URL(api.url).port);
  const pool = "/v1/pools/default";
  await api.pool("/snapshots/kept/prepare", { method: "POST", body: {} });
  const get = (path: string) =>
    Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${api.token}\r\n\r\n`);
  const requests = [
    get(`${pool}/snapshots/kept`),
    get(`${pool}/snapshots?limit=10`),
    get("/v1/pools"),
    get("/healthz"),
    get("/v1/audit?limit=1"),
    get(`${pool}/snapshots/missing`),
    get("/v1/nothing"),
    get(`${pool}/snapshots?limit=no`),
  ];
  const run = async (count: number) => {
    const seen = new Map<string, number>();
    const each = Array.from({ length: connections }, () => callAll(port, requests, count / connections, seen));
    await Promise.all(each);
    return Object.fromEntries(seen);
  };
  const change = async (count: number) => {
    for (let round = 0; round < count; round += 1) {
      const body = { labels: { round: String(round) } };
      expect((await api.pool("/snapshots/kept/labels", { method: "PATCH", body })).status).toBe(200);
    }
  };
  const audited = async () => Number((await api.ask("/v1/audit?limit=1")).body.items[0].number);

  await run(warmUpCalls);
  await change(changes);
  await api.ask("/v1/pools");
  const before = { ...sizesOf(api.pid), audited: await audited() };
  expect(await run(calls)).toEqual({ "200": (calls / 8) * 5, "400": calls / 8, "404": (calls / 8) * 2 });
  await change(changes);
  const settled = await until(
    `descriptors and threads are those of before (${before.descriptors}, ${before.threads})`,
    () => sizesOf(api.pid),
    ({ descriptors, threads }) => descriptors <= before.descriptors + spare && threads <= before.threads + spare,
  );
  expect(settled.residentBytes - before.residentBytes).toBeLessThan(mayGrowBytes);
  expect((await audited()) - before.audited).toBe(changes);
});
