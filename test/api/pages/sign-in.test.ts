// Signing in and out on a real `up`: cookies, links, revocation, restarts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { Sessions } from "../../../src/service/sessions.ts";
import { SignInLinks } from "../../../src/service/sign-in-links.ts";
import { readyLine } from "../../../src/up.ts";
import { testServer } from "../../support/http-server.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formsOf, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
const page = "/pools/default/snapshots";

beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const stranger = () => new Visitor(() => api.url);

test("the page to sign in says how to get a token, and has the policy of all pages", async () => {
  const { status, headers, html } = await stranger().visit("/");
  expect([status, headers.get("content-security-policy")]).toEqual([
    200,
    expect.stringContaining("default-src 'none'"),
  ]);
  expect(textOf(html)).toContain("snapmill token create NAME --role read");
  expect(html).toContain('autocomplete="current-password"');
});

test("a token begins a session of 12 hours, in a cookie that scripts and other sites do not get", async () => {
  const visitor = stranger();
  const answer = await visitor.post("/sign-in", { token: api.token, to: page });
  expect([answer.status, answer.headers.get("location")]).toEqual([303, page]);
  const [cookie = ""] = answer.headers.getSetCookie();
  expect(cookie).toMatch(
    /^snapmill-[\w-]{8}=\d{13}\.\d{13}\.[\w-]{43}\.dashboard; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
  );
  expect(cookie).not.toContain(api.token);
  expect((await visitor.visit(page)).status).toBe(200);
});

test.each(["//evil.example", "/.//evil.example", "/..//evil.example/x", "/%2e//evil.example", "/a/..//evil.example"])(
  "signing in leads to no other site, as %s would",
  async (to) => {
    const answer = await stranger().post("/sign-in", { token: api.token, to });
    expect([answer.status, answer.headers.get("location")]).toEqual([303, "/"]);
  },
);

test.each([
  ["a wrong token", { token: "snapmill_nobody-has-this-one" }, {}, 401],
  ["no token", {}, {}, 401],
  ["another site's form", {}, { "sec-fetch-site": "cross-site" }, 403],
  ["a form from nowhere", {}, { "sec-fetch-site": "-" }, 403],
  ["another origin", {}, { "sec-fetch-site": "-", origin: "http://evil.example" }, 403],
])("%s begins none", async (_what, fields, headers, status) => {
  const visitor = stranger();
  const answer = await visitor.post("/sign-in", { ...(status === 403 && { token: api.token }), ...fields }, headers);
  expect([answer.status, [...visitor.cookies.keys()]]).toEqual([status, []]);
});

test("wrong tokens in the form are slowed down as those in headers are", async () => {
  await using server = testServer("a-right-token-0123456789");
  const visitor = new Visitor(() => server.url);
  const times: number[] = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const from = performance.now();
    expect(await visitor.signIn(`wrong-${attempt}`)).toBe(401);
    times.push(performance.now() - from);
  }
  expect(times.at(-1)).toBeGreaterThan(350);
  expect(await visitor.signIn("a-right-token-0123456789")).toBe(303);
});

test.each([
  ["a seal of its own", (text: string) => text.replace(/\.[\w-]{43}\./, `.${"A".repeat(43)}.`)],
  ["another name", (text: string) => text.replace(/dashboard$/, "looker")],
  ["a later end", (text: string) => text.replace(/\.(\d{13})\./, (_all, end: string) => `.${Number(end) + 1}.`)],
  ["nothing", () => ""],
])("a cookie with %s is none", async (_what, change) => {
  const visitor = stranger();
  await visitor.signIn(api.token);
  for (const [name, text] of visitor.cookies) visitor.cookies.set(name, change(text));
  expect((await visitor.send(page)).status).toBe(303);
});

test("a session ends with its token at once, and a new token of the same name does not revive it", async () => {
  const make = async () => (await api.place.run("token", "create", "brief", "--role", "operate")).stdout.trim();
  const visitor = stranger();
  expect(await visitor.signIn(await make())).toBe(303);
  expect((await visitor.visit(page)).html).toContain("<b>brief</b>");
  await api.place.run("token", "revoke", "brief");
  expect((await visitor.send(page)).status).toBe(303);
  await make();
  expect((await visitor.send(page)).status).toBe(303);
  expect((await visitor.post("/do/cleanup", {})).status).toBe(401);
});

test("a session ends after 12 hours", () => {
  const caller = { tokenName: "ci", role: "read" } as const;
  const sessions = new Sessions("key", { named: () => ({ caller, hash: "00" }) });
  const at = Date.now();
  const begun = (agoMs: number) => sessions.resume(sessions.begin("ci", at - agoMs)?.text ?? "");
  expect(begun(11.9 * 3_600_000)?.caller).toEqual(caller);
  expect(begun(12 * 3_600_000)).toBeUndefined();
  expect(
    new Sessions("other key", { named: () => ({ caller, hash: "00" }) }).resume(sessions.begin("ci")?.text ?? ""),
  ).toBeUndefined();
});

describe("a link that signs in", () => {
  test("is good once, also for a browser that comes from a terminal", async () => {
    const links = new SignInLinks();
    await using server = testServer({ secret: { tokenName: "dashboard", role: "operate" } }, { links });
    const { code } = links.make();
    const open = (headers: Record<string, string>) => {
      const visitor = new Visitor(() => server.url);
      return visitor.send(`/sign-in?code=${code}`, { headers });
    };
    // From another site's page the cookie would not be kept, so the code stays good.
    expect((await open({ "sec-fetch-site": "cross-site" })).status).toBe(403);
    const first = await open({ "sec-fetch-site": "none" });
    expect([first.status, first.headers.get("location")]).toEqual([303, "/"]);
    const second = await open({ "sec-fetch-site": "none" });
    expect([second.status, second.headers.getSetCookie()]).toEqual([401, []]);
    expect(textOf(await second.text())).toContain("This link was used before, is older than 10 minutes");
  });

  test("is good for ten minutes, and so are the last sixteen", () => {
    const links = new SignInLinks();
    expect(links.use(links.make(0).code, 599_999)).toBe(true);
    expect(links.use(links.make(0).code, 600_000)).toBe(false);
    const made = Array.from({ length: 17 }, () => links.make(0).code);
    expect(made.map((code) => links.use(code, 1))).toEqual([false, ...Array<boolean>(16).fill(true)]);
  });

  test("stands on a terminal, and not in the output of a service", async () => {
    const ready = {
      dashboardUrl: "http://127.0.0.1:7070/",
      signInUrl: () => "http://127.0.0.1:7070/sign-in?code=abc",
      token: "secret",
      tokenPath: "/state/http-token",
      grpcAddresses: [],
    };
    expect(readyLine(ready, true)).toContain(
      "sign in once, within 10 minutes, at http://127.0.0.1:7070/sign-in?code=abc",
    );
    expect(readyLine(ready, false)).toBe(
      "snapmill is ready; dashboard: http://127.0.0.1:7070/ (token in /state/http-token)",
    );
  });
});

test("signing out ends the session in this browser, and only its own form does it", async () => {
  const visitor = stranger();
  await visitor.signIn(api.token);
  expect((await visitor.post("/sign-out", { seal: "A".repeat(43) })).status).toBe(403);
  const { html } = await visitor.visit(page);
  const [form] = formsOf(html).filter(({ action }) => action === "/sign-out");
  const answer = await visitor.post("/sign-out", form?.fields ?? {});
  expect([answer.status, visitor.cookies.size]).toEqual([303, 0]);
});

test.each([
  ["another site", "cross-site", 403],
  ["another port", "same-site", 403],
  ["the address bar", "none", 200],
  ["a page of its own", "same-origin", 200],
  ["a browser that does not say", "-", 200],
])("a page that is opened from %s (%s): %i", async (_where, site, status) => {
  const visitor = stranger();
  await visitor.signIn(api.token);
  const answer = await visitor.send(page, { headers: { "sec-fetch-site": site } });
  expect(answer.status).toBe(status);
  if (status === 403) expect(await answer.text()).toContain(`<a href="${page}">Open this page from here</a>`);
});

test("the queues take the session too, and are only shown", async () => {
  const visitor = stranger();
  expect((await visitor.send("/queues")).headers.get("www-authenticate")).toStartWith("Basic");
  await visitor.signIn(api.token);
  const queues = await visitor.send("/queues/api/queues");
  expect(
    ((await queues.json()) as { queues: { readOnlyMode: boolean }[] }).queues.map(({ readOnlyMode }) => readOnlyMode),
  ).toEqual([true, true]);
  const path = "/queues/api/queues/default.unpack/pause";
  expect((await visitor.send(path, { method: "PUT" })).status).toBe(405);
  expect((await api.ask(path, { method: "PUT", headers: api.asBrowser })).status).toBe(405);
});

test("the API and the metrics take no cookie", async () => {
  const visitor = stranger();
  await visitor.signIn(api.token);
  expect((await visitor.send("/v1/pools")).status).toBe(401);
  expect((await visitor.send("/metrics")).status).toBe(401);
});

test("a session outlives a restart; its key is for the owner alone, and no log has key, token or cookie", async () => {
  const visitor = stranger();
  await visitor.signIn(api.token);
  await api.restart();
  expect((await visitor.visit(page)).status).toBe(200);
  expect(statSync(join(api.place.config.stateDir, "http-session-key")).mode & 0o777).toBe(0o600);
  const key = (await Bun.file(join(api.place.config.stateDir, "http-session-key")).text()).trim();
  const log = await api.end();
  expect(log).toContain("stopping");
  for (const secret of [key, api.token, "sign-in?code", ...visitor.cookies.values()]) expect(log).not.toContain(secret);
});
