// Tests what becomes of a stream's slot, and of a connection, when a client leaves or stays without a word.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { until } from "../../support/until.ts";
import { RunningApi } from "./running-api.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

test("listeners that leave without a word make room for others", async () => {
  const headers = { authorization: `Bearer ${api.token}`, "content-type": "application/json" };
  const pids = api.place.pidsOf("pool.ts");
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    const asked = { method: "POST", body: {}, headers: { prefer: "respond-async" } };
    const place = (await api.pool("/snapshots/a/prepare", asked)).headers.get("location") ?? "";
    for (let round = 0; round < 3; round += 1) {
      const leaver = new AbortController();
      const open = () => fetch(`${api.url}${place}/events`, { headers, signal: leaver.signal });
      const streams = await until(
        "the token's 16 slots are free",
        async () => await Promise.all(Array.from({ length: 16 }, open)),
        (all) => {
          if (all.every(({ status }) => status === 200)) return true;
          for (const { body } of all) void body?.cancel();
          return false;
        },
      );
      expect(streams).toHaveLength(16);
      leaver.abort();
    }
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
});

test("a connection without a word ends after ten seconds, also after events and after a long wait", async () => {
  const { headers } = await api.pool("/doctor", { method: "POST", body: {}, headers: { prefer: "wait=60" } });
  const { port, host } = new URL(api.url);
  const idle = async (...lines: readonly string[]) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const request = [...lines, `Host: ${host}`, `Authorization: Bearer ${api.token}`, "Content-Length: 0"];
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(`${request.join("\r\n")}\r\n\r\n`));
    let said = "";
    socket.on("data", (data) => {
      said += data.toString();
    });
    socket.on("close", () => resolve());
    const ended = await Promise.race([promise.then(() => "ended"), Bun.sleep(30_000).then(() => "still open")]);
    socket.destroy();
    return [said.slice(0, 12), ended];
  };
  const found = await Promise.all([
    idle(`GET /v1/operations/${headers.get("operation-id") ?? ""}/events HTTP/1.1`),
    idle("POST /v1/pools/default/doctor HTTP/1.1", "Prefer: wait=60"),
    idle("POST /v1/pools/default/snapshots/idle/prepare HTTP/1.1"),
    idle("GET /v1/pools HTTP/1.1"),
  ]);
  const [said, ended] = [found.map(([first]) => first), found.map(([, last]) => last)];
  expect(new Set(said)).toEqual(new Set(["HTTP/1.1 200"]));
  expect(new Set(ended)).toEqual(new Set(["ended"]));
});
