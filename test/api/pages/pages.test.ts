// The pages on a real `up`: who gets in, what each page says of itself, and what forms may do.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pages } from "../../../src/api/http/pages/pages.ts";
import { writeImage } from "../../support/images.ts";
import { file } from "../../support/tar-entries.ts";
import { HeldRemoval } from "../v1/held-removal.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formsOf, formWith, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let holder: HeldRemoval | undefined;
let reader = "";
let failedUnpack = "";
const visitor = new Visitor(() => api.url);
const looker = new Visitor(() => api.url);
const hostile = `<script>alert(1)</script>"><img src=x onerror=alert(2)>\u202egnp.exe`;

beforeAll(async () => {
  api = await RunningApi.start({ SNAPMILL_ASYNC_REMOVE: "true" });
  reader = (await api.place.run("token", "create", "looker", "--role", "read")).stdout.trim();
  expect(await visitor.signIn(api.token)).toBe(303);
  expect(await looker.signIn(reader)).toBe(303);
  const labels = { [hostile]: hostile };
  const made = await api.ask(`/v1/pools/default/snapshot/prepare?key=${encodeURIComponent(hostile)}`, {
    method: "POST",
    body: { labels },
    headers: { "idempotency-key": "hostile" },
  });
  expect(made.status).toBe(200);
  const unpacked = await writeImage(layout, [{ content: [file("one", "1")] }]);
  for (const reference of [unpacked.reference, `oci:/there/is/none${hostile}:latest`]) {
    await api.pool("/images/unpack", { method: "POST", headers: { prefer: "wait=60" }, body: { reference } });
  }
  failedUnpack = (await api.pool("/unpacks?limit=1")).body.items[0].operationId;
  holder = await HeldRemoval.start(api, `${hostile}-held`);
  const batch = { name: hostile, items: [{ reference: "oci:/there/is/none:latest" }], attempts: 1 };
  expect((await api.pool("/batches/bad-images", { method: "PUT", body: batch })).status).toBe(200);
  const hold = await api.pool("/queues/unpack/pause", { method: "POST", body: { reason: hostile } });
  expect(hold.status).toBe(200);
});
afterAll(async () => {
  await holder?.end();
  await api[Symbol.asyncDispose]();
  rmSync(join(tmpdir(), "<script>alert(1)<"), { recursive: true });
});

const key = encodeURIComponent(hostile);
const layout = join(tmpdir(), hostile);
const snapshotPath = `/pools/default/snapshot?key=${key}`;
const audit = async () => (await api.ask("/v1/audit?limit=20")).body.items;

/** Of the snapshot's preparation: the hash of the token's name and the key of its request. */
const prepared = `key-${new Bun.CryptoHasher("sha256").update('["dashboard","hostile"]').digest("hex").slice(0, 40)}`;

/** The address of each page, with something to see. */
const addresses = [
  "/",
  "/pools/default",
  "/pools/default/snapshots",
  snapshotPath,
  `/pools/default/image?${new URLSearchParams({ name: `oci:${layout}:test` }).toString()}`,
  "/pools/default/unpacks",
  "/pools/default/unpacks/FAILED",
  "/pools/default/batches",
  "/pools/default/batches/bad-images",
  "/pools/default/removals",
  "/pools/default/doctor",
  "/audit",
  `/operations/${prepared}`,
  `/search?q=${encodeURIComponent("<script>")}`,
];

const whole = (address: string) => address.replace("FAILED", failedUnpack);

test("every page of the registry is looked at here", () => {
  const patterns = pages.map(({ path }) => new RegExp(`^${path.replace(/:\w+/g, "[^/?]+")}(\\?|$)`));
  expect(patterns.filter((pattern) => !addresses.some((address) => pattern.test(address)))).toEqual([]);
});

test("every page of the registry stands in docs/DASHBOARD.md as it describes itself", async () => {
  const document = await Bun.file(new URL("../../../docs/DASHBOARD.md", import.meta.url)).text();
  const rows = [...document.matchAll(/^\| `(\/[^`]*)` \| (.+) \| (.+) \|$/gm)].map(([, path, title, about]) => ({
    path,
    title,
    about,
  }));
  expect(rows).toEqual(pages.map(({ path, title, about }) => ({ path, title, about })));
});

describe("every page", () => {
  test.each(addresses)("%s has the frame, a strict policy, and nothing from elsewhere", async (address) => {
    const { status, headers, html } = await visitor.visit(whole(address));
    expect(status).toBe(200);
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    expect(headers.get("cache-control")).toBe("no-store");
    expect(html).toStartWith('<!doctype html><html lang="en">');
    for (const part of [
      "<main ",
      "<h1>",
      'aria-label="Pages"',
      'aria-label="Pools"',
      'aria-label="Verdict"',
      "<search>",
    ]) {
      expect(html).toContain(part);
    }
    expect(textOf(html)).toContain("Token dashboard , role operate");
    expect(textOf(html)).toMatch(/Data as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
    expect(html).not.toMatch(/ style=| on[a-z]+="|<script(?! type="module" src="\/assets\/)/);
    const links = [...html.matchAll(/ (?:href|src|action)="([^"]*)"/g)].map(([, link = ""]) => link);
    expect(links.filter((link) => !/^(\/(?!\/)|#|data:image\/svg)/.test(link))).toEqual([]);
  });

  test.each(addresses)("%s shows hostile names as text, invisible characters included", async (address) => {
    const { html } = await visitor.visit(whole(address));
    expect(html).not.toContain("<script>alert");
    expect(html).not.toContain("<img src=x");
    expect(html).not.toContain("\u202e");
    // Doctor has found nothing yet; what the audit log has of requests is JSON.
    const shown =
      address === "/pools/default/doctor"
        ? "Look now"
        : '<script>alert(1)</script>"><img src=x onerror=alert(2)>\\u202egnp.exe';
    expect(textOf(html).replaceAll('\\"', '"')).toContain(shown);
  });

  test.each(addresses)("%s is not shown without a session, and leads to signing in", async (address) => {
    const nobody = new Visitor(() => api.url);
    const answer = await nobody.send(whole(address));
    expect(answer.status).toBe(303);
    expect(answer.headers.get("location")).toMatch(/^\/sign-in(\?to=|$)/);
    expect((await nobody.send(whole(address), { headers: { accept: "*/*" } })).status).toBe(401);
  });

  test.each(addresses)("%s has no button for the role read, whom the server refuses as well", async (address) => {
    const { status, html } = await looker.visit(whole(address));
    // What changes said of themselves is for operators.
    expect(status).toBe(address === "/audit" ? 403 : 200);
    expect(formsOf(html).map(({ action }) => action)).toEqual(["/sign-out"]);
    const { session: _none, ...forms } = { session: "", forms: formsOf((await visitor.visit(whole(address))).html) };
    for (const { action, fields } of forms.forms.filter((form) => form.action !== "/sign-out")) {
      const answer = await looker.post(action, { ...fields, reason: "because" });
      expect([action, answer.status]).toEqual([action, 403]);
      expect(textOf(await answer.text())).toContain("token looker has the role read, and this needs operate");
      expect((await audit())[0]).toMatchObject({
        token: "looker",
        role: "read",
        code: "permission_denied",
        status: 403,
        path: action,
      });
    }
  });
});

test("an address that is none is a page with the way out, and says nothing to strangers", async () => {
  const { status, html } = await visitor.visit("/no/such/page");
  expect(status).toBe(404);
  expect(textOf(html)).toContain("there is no page /no/such/page. What to do: use the navigation or the search.");
  expect((await new Visitor(() => api.url).send("/no/such/page")).status).toBe(303);
});

describe("a form", () => {
  const remove = async () => formWith((await visitor.visit(snapshotPath)).html, "Remove the snapshot");
  const stat = async () => (await api.ask(`/v1/pools/default/snapshot?key=${key}`)).status;

  test("has the command that does the same, quoted for a shell", async () => {
    const { html } = await visitor.visit(snapshotPath);
    expect(textOf(html)).toContain(
      String.raw`At a terminal: snapmill rm $'<script>alert(1)</script>"><img src=x onerror=alert(2)>\U0000202egnp.exe'`,
    );
  });

  test.each<[string, Record<string, string>]>([
    ["no seal", { seal: "" }],
    ["a wrong seal", { seal: "A".repeat(43) }],
    [
      "other arguments",
      {
        what: '{"operation":"remove","pool":"default","given":{"scope":"snapmill","key":"other"},"fields":[],"reason":"none","label":"x"}',
      },
    ],
  ])("with %s changes nothing", async (_what, changed) => {
    const { action, fields } = await remove();
    const answer = await visitor.post(action, { ...fields, reason: "because", ...changed });
    expect(answer.status).toBe(403);
    expect(textOf(await answer.text())).toContain("What to do: reload the page that the button is on");
    expect(await stat()).toBe(200);
    expect((await audit())[0]).toMatchObject({ operation: "remove", code: "permission_denied", status: 403 });
  });

  test("does not do another button's work, and none of another session", async () => {
    const { fields } = await remove();
    expect((await visitor.post("/do/resetPool", { ...fields, reason: "because" })).status).toBe(403);
    const other = new Visitor(() => api.url);
    await Bun.sleep(2);
    await other.signIn(api.token);
    expect((await other.post("/do/remove", { ...fields, reason: "because" })).status).toBe(403);
    expect((await visitor.post("/do/listSnapshots", { ...fields })).status).toBe(404);
    expect(await stat()).toBe(200);
  });

  test.each<[string, Record<string, string>]>([
    ["another site", { "sec-fetch-site": "cross-site" }],
    ["another port of this host", { "sec-fetch-site": "same-site" }],
    ["nowhere", { "sec-fetch-site": "none" }],
    ["a browser that does not say", { "sec-fetch-site": "-" }],
  ])("from %s is refused", async (_where, headers) => {
    const { action, fields } = await remove();
    const answer = await visitor.post(action, { ...fields, reason: "because" }, headers);
    expect(answer.status).toBe(403);
    expect(await stat()).toBe(200);
  });

  test("without the reason that it asks for changes nothing", async () => {
    const { action, fields } = await remove();
    const answer = await visitor.post(action, { ...fields, reason: " " });
    expect([answer.status, textOf(await answer.text())]).toEqual([400, expect.stringContaining("asks for a reason")]);
    expect(await stat()).toBe(200);
  });

  test("that fails says why on its page, once", async () => {
    await api.ask("/v1/pools/default/snapshots/gone-soon/prepare", { method: "POST", body: {} });
    const { html } = await visitor.visit("/pools/default/snapshot?key=gone-soon");
    await api.ask("/v1/pools/default/snapshots/gone-soon", { method: "DELETE" });
    const sent = formWith(html, "Remove the snapshot");
    const failed = await visitor.submit(
      { ...sent, fields: { ...sent.fields, back: "/pools/default/snapshots" } },
      { reason: "x" },
    );
    expect([failed.status, failed.html]).toEqual([200, expect.stringContaining('role="alert"')]);
    expect(textOf(failed.html)).toContain("What to do: look for it in the lists, or search for it.");
    expect((await visitor.visit("/pools/default/snapshots")).html).not.toContain('role="alert"');
  });

  test("never leads to another site", async () => {
    const { action, fields } = await remove();
    expect(fields["back"]).toStartWith("/pools/default/snapshot?key=%3Cscript%3E");
    await api.ask("/v1/pools/default/snapshots/x/prepare", { method: "POST", body: {} });
    const { html } = await visitor.visit("/pools/default/snapshot?key=x");
    await api.ask("/v1/pools/default/snapshots/x", { method: "DELETE" });
    for (const back of ["//evil.example/", "https://evil.example/", "/\\evil.example", "/.//evil.example/"]) {
      const again = formWith(html, "Remove the snapshot");
      const answer = await visitor.post(action, { ...again.fields, reason: "x", back });
      expect([answer.status, answer.headers.get("location")]).toEqual([303, "/"]);
    }
  });

  test("that is as it was made does what it says, and the audit log has who and why", async () => {
    const { action, fields } = await remove();
    const answer = await visitor.post(action, { ...fields, reason: "it is hostile" });
    expect(answer.status).toBe(303);
    expect(await stat()).toBe(404);
    expect((await audit()).find((row: { operation: string }) => row.operation === "remove")).toMatchObject({
      token: "dashboard",
      operation: "remove",
      pool: "default",
      reason: "it is hostile",
      code: "ok",
      method: "POST",
      path: "/do/remove",
      request: { scope: "snapmill" },
    });
  });
});
