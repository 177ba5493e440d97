// Tests the ways to /v1 besides a token over TCP: the UNIX socket, and a browser with the page to try it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { paths } from "../../../src/config.ts";
import { RunningApi } from "./running-api.ts";

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(async () => {
  const socket = paths.httpSocket(api.place.config);
  await api[Symbol.asyncDispose]();
  expect(existsSync(socket)).toBe(false);
});

describe("the UNIX socket", () => {
  const local = (path: string, init: RequestInit = {}) =>
    fetch(`http://snapmill${path}`, { unix: paths.httpSocket(api.place.config), ...init });

  test("belongs to its owner alone", () => {
    const { mode } = statSync(paths.httpSocket(api.place.config));
    expect((mode & 0o777).toString(8)).toBe("600");
  });

  test("needs no token, and its caller may change things", async () => {
    const made = await local("/v1/pools/default/snapshots/here/prepare", { method: "POST" });
    expect(made.status).toBe(200);
    expect(await (await local("/v1/pools")).json()).toEqual({ items: [{ name: "default" }], next: null });
    expect((await local("/v1/pools/default/snapshots/here", { method: "DELETE" })).status).toBe(200);
  });

  test("has another space of Idempotency-Keys than a token", async () => {
    const headers = { "idempotency-key": "1" };
    const one = await local("/v1/pools/default/snapshots/a/prepare", { method: "POST", headers });
    const other = await api.pool("/snapshots/b/prepare", { method: "POST", headers, body: {} });
    expect([one.status, other.status]).toEqual([200, 200]);
    for (const key of ["a", "b"]) await api.pool(`/snapshots/${key}`, { method: "DELETE" });
  });

  test("serves the API and nothing else", async () => {
    expect((await local("/queues")).status).toBe(404);
  });
});

describe("a browser", () => {
  test("is asked for user and password at the page, and gets it with its files and a strict policy", async () => {
    const refused = await fetch(`${api.url}/v1/docs`);
    expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, 'Basic realm="snapmill"']);
    for (const path of ["/v1/docs", "/v1/docs/page.js", "/v1/docs/page.css"]) {
      const { status, headers, body } = await api.ask(path, { headers: api.asBrowser });
      expect([path, status]).toEqual([path, 200]);
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(body).not.toMatch(/https?:\/\//);
    }
    const { body } = await api.ask("/v1/openapi.json", { headers: api.asBrowser });
    expect(body.openapi).toBe("3.1.0");
  });

  test.each([
    ["another site", { "sec-fetch-site": "cross-site" }],
    ["a neighbour of the site", { "sec-fetch-site": "same-site" }],
    ["another origin", { origin: "http://evil.example" }],
    ["a page without an origin", { origin: "null" }],
  ])("that sends a change for %s is refused", async (_what, headers) => {
    const asked = { method: "POST", headers: { ...api.asBrowser, ...headers } };
    const { status, body } = await api.pool("/snapshots/forged/prepare", asked);
    expect([status, body.code]).toEqual([403, "permission_denied"]);
  });

  test("may change things from the page itself", async () => {
    const headers = { ...api.asBrowser, "sec-fetch-site": "same-origin", origin: api.url };
    expect((await api.pool("/snapshots/mine/prepare", { method: "POST", headers })).status).toBe(200);
    expect((await api.pool("/snapshots/mine", { method: "DELETE", headers })).status).toBe(200);
  });
});
