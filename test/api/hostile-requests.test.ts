// Tests requests of hostile web pages and network clients: sent byte by byte, since no HTTP client would send them.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Dashboard } from "../../src/api/dashboard/dashboard.ts";
import { hostOf, isOwnHost } from "../../src/api/http/hosts.ts";
import { isOriginOf } from "../../src/api/http/protection.ts";
import { poolName } from "../../src/domain/identifiers.ts";
import { type TestServer, testServer } from "../support/http-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const token = "not-a-secret-0123456789";
const command = "/sign-in";
const authorization = `Authorization: Basic ${btoa(`snapmill:${token}`)}`;

let redis: TestRedis;
let dashboard: Dashboard;
let server: TestServer;
let port = 0;

beforeAll(async () => {
  redis = await startRedis();
  server = testServer(token, { names: ["mill.example"] });
  port = Number(new URL(server.url).port);
  dashboard = await Dashboard.open({ redisUrl: redis.url, pools: [poolName("default")] });
  server.show(dashboard.app);
});
afterAll(async () => {
  await dashboard[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

/** The status of the answer to these lines; 0 when the connection is closed without an answer. */
function statusOf(lines: readonly string[], body = ""): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = connect(port, "127.0.0.1", () => socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`));
  let said = "";
  socket.on("data", (chunk) => {
    said += chunk.toString();
    if (said.includes("\r\n")) resolve(Number(said.split(" ")[1]));
  });
  socket.on("error", reject);
  socket.on("close", () => resolve(0));
  return promise.finally(() => socket.destroy());
}

const form = new URLSearchParams({ token, to: "/" }).toString();
const post = (...headers: readonly string[]) => [
  `POST ${command} HTTP/1.1`,
  "Content-Type: application/x-www-form-urlencoded",
  ...headers,
];
const whole = `Content-Length: ${form.length}`;
const own = () => [`Host: 127.0.0.1:${port}`, `Origin: http://127.0.0.1:${port}`];

describe("a form that signs in", () => {
  test.each<[string, number, () => readonly string[]]>([
    ["neither Origin nor Sec-Fetch-Site", 403, () => [`Host: 127.0.0.1:${port}`]],
    ["another site's Origin", 403, () => [`Host: 127.0.0.1:${port}`, "Origin: http://evil.example"]],
    ["an Origin of another port", 403, () => [`Host: 127.0.0.1:${port}`, "Origin: http://127.0.0.1:1"]],
    ["the Origin null", 403, () => [`Host: 127.0.0.1:${port}`, "Origin: null"]],
    ["an empty Origin", 403, () => [`Host: 127.0.0.1:${port}`, "Origin: "]],
    ["two Origins", 403, () => [...own(), "Origin: http://evil.example"]],
    [
      "an Origin that only begins as ours",
      403,
      () => [`Host: 127.0.0.1:${port}`, `Origin: http://127.0.0.1:${port}.evil`],
    ],
    ["an Origin with a user", 403, () => [`Host: 127.0.0.1:${port}`, `Origin: http://evil@127.0.0.1:${port}`]],
    ["Sec-Fetch-Site: cross-site", 403, () => [...own(), "Sec-Fetch-Site: cross-site"]],
    ["Sec-Fetch-Site: same-site", 403, () => [...own(), "Sec-Fetch-Site: same-site"]],
    [
      "same-origin, and another's Origin",
      403,
      () => [`Host: 127.0.0.1:${port}`, "Sec-Fetch-Site: same-origin", "Origin: http://evil.example"],
    ],
    [
      "a rebound name for Host and Origin",
      421,
      () => [`Host: evil.example:${port}`, `Origin: http://evil.example:${port}`],
    ],
    ["two Hosts", 421, () => [...own(), "Host: evil.example"]],
    ["no Host", 400, () => [`Origin: http://127.0.0.1:${port}`]],
  ])("that brings %s is refused with %d", async (_what, status, headers) => {
    expect(await statusOf([...post(whole), ...headers()], form)).toBe(status);
  });

  test("that comes from a page of this server is taken", async () => {
    const pages = [
      own(),
      ["Host: mill.example", "Origin: http://mill.example"],
      ["Host: MILL.example:80", "Origin: https://mill.example:80"],
      [`Host: localhost:${port}`, "Sec-Fetch-Site: same-origin"],
    ];
    for (const headers of pages) expect(await statusOf([...post(whole), ...headers], form)).toBe(303);
  });
});

describe("a request", () => {
  const get = (path: string, ...headers: readonly string[]) => [`GET ${path} HTTP/1.1`, ...headers];

  const rows: readonly (readonly [string, number, () => readonly string[], string?])[] = [
    ["for a rebound name", 421, () => get("/queues", authorization, "Host: evil.example")],
    ["for a rebound name's health", 421, () => get("/healthz", "Host: evil.example")],
    ["for another address than it is served at", 421, () => get("/healthz", "Host: 192.0.2.1")],
    ["of HTTP/1.0, without a Host", 421, () => ["GET /queues HTTP/1.0", authorization]],
    [
      "for pages outside the dashboard's files",
      404,
      () => get("/queues/static/..%2f..%2f..%2fpackage.json", authorization, `Host: 127.0.0.1:${port}`),
    ],
    [
      "for pages outside, encoded twice",
      404,
      () => get("/queues/static/%252e%252e/%252e%252e/package.json", authorization, `Host: 127.0.0.1:${port}`),
    ],
    ["for the dashboard by another spelling", 401, () => get("/%71ueues/api/queues", `Host: 127.0.0.1:${port}`)],
    ["with a header of 20 kB", 431, () => get("/healthz", `Host: 127.0.0.1:${port}`, `X: ${"x".repeat(20_000)}`)],
    ["with 500 headers", 431, () => get("/healthz", `Host: 127.0.0.1:${port}`, ...Array<string>(500).fill("X: y"))],
    ["whose length is given twice", 400, () => [...post(...own()), whole, "Content-Length: 1"], form],
    ["with a length and chunks", 400, () => [...post(...own()), whole, "Transfer-Encoding: chunked"], "0\r\n\r\n"],
    ["that announces more than 1 MiB", 413, () => [...post(...own()), `Content-Length: ${2 ** 20 + 1}`]],
    ["that announces 100 GB", 413, () => [...post(...own()), "Content-Length: 100000000000"]],
    [
      "that brings more than 1 MiB in chunks",
      413,
      () => [...post(...own()), "Transfer-Encoding: chunked"],
      `${"10000\r\n"}${"[".repeat(65_536)}\r\n`.repeat(17),
    ],
    ["that is 1 MiB of brackets", 401, () => [...post(...own()), `Content-Length: ${2 ** 20}`], "[".repeat(2 ** 20)],
  ];
  // Filled up: bun would hand its own callback to a parameter that a row leaves out.
  const table = rows.map(([what, status, lines, body = ""]) => [what, status, lines, body] as const);
  test.each(table)("%s is answered %d", async (_what, status, lines, body) => {
    expect(await statusOf(lines(), body)).toBe(status);
  });
});

test.each<[string | undefined, string | undefined]>([
  ["127.0.0.1:7070", "127.0.0.1"],
  ["LocalHost.", "localhost"],
  ["[::1]:7070", "::1"],
  ["a, b", undefined],
  ["user@host", undefined],
  ["host:port", undefined],
  ["host/path", undefined],
  ["", undefined],
  [undefined, undefined],
])("the Host header %p means %p", (header, host) => expect(hostOf(header)).toBe(host));

test("served at every address, it answers to each, and to no name that it was not told", () => {
  const everywhere = { hostname: "0.0.0.0", port: 7070 };
  const answers = (host: string) => isOwnHost(host, everywhere, ["mill.example"]);
  expect(["192.0.2.1", "2001:db8::1", "localhost", "x.localhost", "mill.example"].filter(answers)).toHaveLength(5);
  expect(["evil.example", "192.0.2.1.evil.example", "mill.example.evil", ""].filter(answers)).toEqual([]);
});

test("an origin is that of a Host with the same port, the default one of its scheme included", () => {
  expect(isOriginOf("https://mill.example", "mill.example:443")).toBe(true);
  expect(isOriginOf("http://[::1]:7070", "[::1]:7070")).toBe(true);
  expect(isOriginOf("http://mill.example", "mill.example:443")).toBe(false);
  expect(isOriginOf("file://mill.example", "mill.example")).toBe(false);
});
