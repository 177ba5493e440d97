// Who gets in, what they may do, and what of it is recorded: on a real `up`, with tokens made by the command line.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { RunningApi } from "./running-api.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let reader = "";
let operator = "";

beforeAll(async () => {
  api = await RunningApi.start();
  const make = async (name: string, role: string) =>
    (await api.place.run("token", "create", name, "--role", role)).stdout.trim();
  reader = await make("monitoring", "read");
  operator = await make("ci", "operate");
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const by = (token: string, more: Record<string, string> = {}) => ({ authorization: `Bearer ${token}`, ...more });
const audit = async (query = "") => (await api.ask(`/v1/audit?${query}`)).body.items;
const prepare = (key: string) => `/snapshots/${key}/prepare`;

test("a token that was made while up runs is accepted, and refused from its revocation on", async () => {
  const { stdout } = await api.place.run("token", "create", "brief", "--role", "read");
  const headers = by(stdout.trim());
  expect((await api.pool("/snapshots", { headers })).status).toBe(200);
  await api.place.run("token", "revoke", "brief");
  expect((await api.pool("/snapshots", { headers })).status).toBe(401);
});

describe("without a valid token", () => {
  test.each<[string, Record<string, string>]>([
    ["none", { authorization: "" }],
    ["another", by("snapmill_0000000000000000000000000000000000000000000")],
    ["the word alone", { authorization: "Bearer" }],
  ])("(%s) every address looks the same, and says nothing of snapmill", async (_what, headers) => {
    const seen = new Set<string>();
    for (const path of ["/v1/pools", "/v1/nothing", "/v1/pools/default/snapshots/a", "/v1/openapi.json", "/v1/audit"]) {
      const { status, body, headers: told } = await api.ask(path, { headers });
      seen.add(JSON.stringify([status, body, told.get("www-authenticate")]));
    }
    expect([...seen]).toHaveLength(1);
    expect([...seen][0]).toStartWith('[401,{"type":"urn:snapmill:problem:unauthenticated"');
    expect((await api.ask("/no/such/page", { headers })).status).toBe(401);
    expect((await api.ask("/metrics", { headers })).status).toBe(401);
    expect((await api.pool(prepare("x"), { method: "POST", body: {}, headers })).status).toBe(401);
  });
});

describe("the role read", () => {
  test("looks, and changes nothing", async () => {
    const headers = by(reader);
    expect((await api.pool("/snapshots", { headers })).status).toBe(200);
    expect((await api.ask("/metrics", { headers })).status).toBe(200);
    const refused = await api.pool(prepare("r"), { method: "POST", body: {}, headers });
    expect([refused.status, refused.body.code]).toEqual([403, "permission_denied"]);
    expect(refused.body.detail).toContain("token monitoring has the role read");
    expect((await api.pool("/snapshots/r")).status).toBe(404);
    expect((await api.ask("/v1/audit", { headers })).status).toBe(403);
  });

  test("sees the queues, which nobody changes there", async () => {
    const as = (token: string) => ({ authorization: `Basic ${btoa(`snapmill:${token}`)}`, origin: api.url });
    expect((await api.ask("/queues/api/queues", { headers: as(reader) })).status).toBe(200);
    const path = "/queues/api/queues/default.unpack/pause";
    for (const token of [reader, operator]) {
      const refused = await api.ask(path, { method: "PUT", headers: as(token) });
      expect([refused.status, refused.body]).toEqual([405, expect.stringContaining("the queues are only shown here")]);
    }
    expect((await api.pool("/queues")).body.unpack.state).not.toBe("paused");
  });
});

describe("the audit log", () => {
  test("has who changed what, why, with what, and what came of it", async () => {
    const headers = by(operator, { "snapmill-reason": "nightly build", "x-request-id": "request-of-night" });
    const body = { labels: { team: "edge" } };
    const made = await api.pool(prepare("a"), { method: "POST", body, headers });
    expect(made.status).toBe(200);
    expect((await api.pool(prepare("a"), { method: "POST", body, headers: by(operator) })).status).toBe(409);
    const [again, first] = await audit("token=ci&operation=prepare");
    expect(first).toMatchObject({
      token: "ci",
      role: "operate",
      operation: "prepare",
      pool: "default",
      reason: "nightly build",
      method: "POST",
      path: "/v1/pools/default/snapshots/a/prepare",
      requestId: "request-of-night",
      code: "ok",
      status: 200,
      operationId: made.headers.get("operation-id"),
    });
    expect(first.request).toMatchObject({ key: "a", labels: { team: "edge" } });
    expect(again).toMatchObject({ code: "already_exists", status: 409, reason: null });
  });

  test("has what was refused before it began, and no reads", async () => {
    const before = (await audit("limit=1"))[0].number;
    expect((await api.pool(prepare("b"), { method: "POST", body: "{", headers: by(operator) })).status).toBe(400);
    expect((await api.pool(prepare("b"), { method: "POST", body: {}, headers: by(reader) })).status).toBe(403);
    expect((await api.ask("/v1/pools/none/snapshots/b/prepare", { method: "POST", body: {} })).status).toBe(404);
    expect((await api.ask("/v1/nothing", { method: "DELETE" })).status).toBe(404);
    await api.pool("/snapshots", { headers: by(operator) });
    const rows = (await audit()).filter((row: { number: number }) => row.number > before);
    expect(rows).toMatchObject([
      { token: "dashboard", method: "DELETE", operation: null, code: "not_found", request: null },
      { token: "dashboard", operation: "prepare", pool: "none", code: "not_found", status: 404 },
      { token: "monitoring", operation: "prepare", code: "permission_denied", status: 403 },
      { token: "ci", operation: "prepare", code: "invalid_argument", status: 400 },
    ]);
    expect(await audit("code=permission_denied&token=monitoring")).not.toEqual([]);
  });

  test("is read page by page, and by the command line", async () => {
    const { body } = await api.ask("/v1/audit?limit=2");
    expect(body.items).toHaveLength(2);
    const next = await api.ask(body.next);
    expect(next.body.items[0].number).toBe(body.items[1].number - 1);
    const shown = await api.place.run("audit", "--token", "ci", "--operation", "prepare", "--result", "ok");
    expect(shown.stdout).toMatch(
      /^TIME +TOKEN +ROLE +OPERATION +POOL +RESULT +REASON\n.* ci +operate +prepare +default +ok +nightly build\n$/,
    );
    const lines = (await api.place.run("audit", "--json", "--limit", "1")).stdout.trim().split("\n");
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toEqual((await audit("limit=1"))[0]);
  });
});
