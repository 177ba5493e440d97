import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Dashboard } from "../../src/api/dashboard/dashboard.ts";
import { removeForeignLinks } from "../../src/api/dashboard/foreign-links.ts";
import type { HttpServer } from "../../src/api/http/server.ts";
import { type Health, healthParts } from "../../src/domain/health.ts";
import { poolName } from "../../src/domain/identifiers.ts";
import { shared } from "../../src/domain/shared.ts";
import { openQueue } from "../../src/jobs/queues.ts";
import { producerConnection } from "../../src/jobs/redis/connection.ts";
import { well } from "../support/health.ts";
import { testServer } from "../support/http-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const token = "not-a-secret-0123456789";
const pools = [poolName("default"), poolName("second")];

const refused = "connect ECONNREFUSED";
const ill: Health = { ...well, ok: false, reasons: [refused], parts: { ...well.parts, redis: [refused] } };
let health: Health = well;
/** How often the server has asked for it. */
let looks = 0;

const lookedAt = async () => {
  looks += 1;
  return health;
};

let redis: TestRedis;
let server: HttpServer;
let dashboard: Dashboard;

beforeAll(async () => {
  redis = await startRedis();
  server = testServer(token, { health: lookedAt });
});
afterAll(async () => {
  await dashboard?.[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

const basic = (user: string, password: string) => ({ authorization: `Basic ${btoa(`${user}:${password}`)}` });
const authorized = basic("snapmill", token);
const get = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(new URL(path, server.url), { redirect: "manual", ...init });

describe("before the dashboard is there", () => {
  test("/queues asks for patience, but only of those with the token", async () => {
    const refusal = await get("/queues");
    expect(refusal.status).toBe(401);
    expect(await refusal.text()).toContain("the user is snapmill, the password is the token");
    const answer = await get("/queues", { headers: authorized });
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain("starting");
  });
});

describe("/healthz", () => {
  test("says that the process answers, whatever else is wrong, and asks nothing", async () => {
    health = ill;
    const asked = looks;
    const answer = await get("/healthz");
    expect([answer.status, await answer.json()]).toEqual([200, { ok: true }]);
    expect(looks).toBe(asked);
  });
});

describe("/readyz", () => {
  test("says 200 or 503, and with the token why", async () => {
    for (const [found, status] of [
      [well, 200],
      [ill, 503],
    ] as const) {
      health = found;
      const answer = await get("/readyz", { headers: authorized });
      expect([answer.status, await answer.json()]).toEqual([status, found]);
    }
  });

  test("without the token says which part is not ready, and nothing of the host", async () => {
    health = ill;
    const answer = await get("/readyz");
    const text = await answer.text();
    expect([answer.status, JSON.parse(text)]).toEqual([
      503,
      { ok: false, parts: { ...Object.fromEntries(healthParts.map((part) => [part, "ok"])), redis: "not ok" } },
    ]);
    expect(text).not.toContain("ECONNREFUSED");
    health = well;
    expect((await get("/readyz")).status).toBe(200);
  });

  test("refuses a wrong token", async () => {
    expect((await get("/readyz", { headers: basic("snapmill", "not-this-one-0123456789") })).status).toBe(401);
  });
});

test("metrics are read once for all requests that come meanwhile, and again afterwards, also after a failure", async () => {
  let readings = 0;
  const read = shared(async () => {
    readings += 1;
    await Bun.sleep(0);
    if (readings === 1) throw new Error("the disk is gone");
    return readings;
  });
  const answers = await Promise.allSettled([read(), read(), read()]);
  expect(answers.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  expect(await Promise.all([read(), read()])).toEqual([2, 2]);
  expect(await read()).toBe(3);
});

describe("the dashboard", () => {
  beforeAll(async () => {
    dashboard = await Dashboard.open({ redisUrl: redis.url, pools });
    server.show(dashboard.app);
  });

  test.each([
    ["nothing", {}],
    ["a wrong token", basic("snapmill", "wrong")],
    ["a token's beginning", basic("snapmill", token.slice(0, -1))],
    ["another user", basic("admin", token)],
    ["another scheme", { authorization: `Digest ${token}` }],
  ])("shows nothing to a request with %s", async (_what, headers) => {
    for (const path of ["/queues", "/queues/api/queues", "/queues/queue/default.pool", "/queues/static/js/main.js"]) {
      const answer = await get(path, { headers });
      expect([path, answer.status]).toEqual([path, 401]);
      expect(answer.headers.get("www-authenticate")).toContain('Basic realm="snapmill"');
    }
  });

  test("lists every pool's queues, with payloads", async () => {
    const connection = producerConnection(redis.url);
    const queue = await openQueue(connection, poolName("second"), "unpack");
    await queue.add("unpack", { reference: "oci:/images/debian" });
    // A job whose data is not JSON is still listed, and hides no other job.
    await queue.add("unpack", {}, { jobId: "damaged-1" });
    await redis.command("HSET", queue.toKey("damaged-1"), "data", "{ no JSON");
    const answer = await get("/queues/api/queues?activeQueue=second.unpack&status=waiting", { headers: authorized });
    const { queues } = (await answer.json()) as { queues: { name: string; jobs: { data: unknown }[] }[] };
    expect(queues.map(({ name }) => name)).toEqual(["default.pool", "default.unpack", "second.pool", "second.unpack"]);
    expect(queues[3]?.jobs.map(({ data }) => data)).toContainEqual({ reference: "oci:/images/debian" });
    expect(queues[3]?.jobs).toHaveLength(2);
    await queue.close();
    connection.disconnect();
  });

  test("names only what this server has, and forbids the browser everything else", async () => {
    for (const path of ["/queues", "/queues/queue/default.pool"]) {
      const answer = await get(path, { headers: authorized });
      expect(answer.headers.get("content-security-policy")).toStartWith("default-src 'self';");
      const page = await answer.text();
      const base = new URL(/<base href="([^"]+)"/.exec(page)?.[1] ?? "/", server.url);
      const named = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = ""]) => new URL(link, base));
      expect(named.length).toBeGreaterThan(5);
      expect(named.filter(({ origin }) => origin !== server.url)).toEqual([]);
      for (const { pathname } of named.filter(({ pathname }) => pathname.includes("/static/"))) {
        expect([pathname, (await get(pathname, { headers: authorized })).status]).toEqual([pathname, 200]);
      }
    }
  });

  test("changes nothing, whoever asks", async () => {
    const own = { ...authorized, origin: server.url, "sec-fetch-site": "same-origin" };
    const command = "/queues/api/queues/default.pool/pause";
    const answer = await get(command, { method: "PUT", headers: own });
    expect([answer.status, await answer.text()]).toEqual([405, expect.stringContaining("only shown here")]);
    const { queues } = (await (await get("/queues/api/queues", { headers: own })).json()) as {
      queues: { isPaused: boolean; readOnlyMode: boolean; allowRetries: boolean }[];
    };
    const stands = queues.map(({ isPaused, readOnlyMode, allowRetries }) => [isPaused, readOnlyMode, allowRetries]);
    expect(stands).toEqual(Array(4).fill([false, true, false]));
  });
});

test("a page loses its links to other servers and keeps its own", async () => {
  const page = `<head><link href="https://fonts.example/css"><link href="//fonts.example/css"><link href="static/a.css">
    <script src="http://cdn.example/a.js"></script><script src="/a.js"></script></head>`;
  const rewritten = await removeForeignLinks(new Response(page)).text();
  expect(rewritten).not.toContain("example");
  expect(rewritten).toContain('<link href="static/a.css">');
  expect(rewritten).toContain('<script src="/a.js">');
});

test("an address that is taken is an error that says so", () => {
  const address = new URL(server.url).host;
  expect(() => testServer(token, { address })).toThrow(
    `HTTP address ${address} is in use: choose another with --http-address`,
  );
});
