// The page of an operation on a real `up`: a removal that fails, an unpack that has failed, and one that nobody knows.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { until } from "../../support/until.ts";
import { HeldRemoval, removalsIn } from "../v1/held-removal.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formsOf, formWith, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(120_000);

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`;
let api: RunningApi;
let held: HeldRemoval;
let unpackId = "";
let prepareId = "";
const visitor = new Visitor(() => api.url);
const page = async (id: string) => (await visitor.visit(`/operations/${id}`)).html;
const account = async (id: string) => (await api.ask(`/v1/operations/${id}/account`)).body;

beforeAll(async () => {
  api = await RunningApi.start({
    SNAPMILL_ASYNC_REMOVE: "true",
    SNAPMILL_REMOVE_ATTEMPTS: "3",
    SNAPMILL_REMOVE_FIRST_PAUSE: "100ms",
  });
  expect(await visitor.signIn(api.token)).toBe(303);
  held = await HeldRemoval.start(api, hostile, `serve ${hostile}`);
  await until(
    "it is given up",
    () => removalsIn(api),
    ([first]) => first?.state === "failed",
  );
  const reason = { "snapmill-reason": "for a build" };
  const made = await api.pool("/snapshots/web/prepare", { method: "POST", body: {}, headers: reason });
  prepareId = made.headers.get("operation-id") ?? "";
  const reference = `oci:${join(api.place.directory, "none")}:latest`;
  await api.pool("/images/unpack", { method: "POST", body: { reference }, headers: { prefer: "wait=30" } });
  unpackId = (await api.ask("/v1/audit?operation=unpack&limit=1")).body.items[0].operationId;
});
afterAll(async () => {
  await held.end();
  await api[Symbol.asyncDispose]();
});

test("a removal has its way to the device, each error with where it was thrown, its holder, and its buttons", async () => {
  const { operationId, device, pid } = held;
  const html = await page(operationId);
  const shown = textOf(html);
  expect(shown).toContain("Operation: remove-device");
  expect(shown).toContain("State ✗ given up");
  expect(shown).toContain("Attempts 3 of 3 at most; next try: none");
  const way = [
    "Written down in the outbox: from here on it survives the loss of Redis.",
    "Remove-device was queued.",
    `The first attempt to remove ${device} failed.`,
    "A worker took it, for the 3rd time.",
    "The 3rd attempt failed.",
    "Given up after 3 attempts, until it is retried or snapmill starts.",
  ];
  const places = way.map((step) => shown.indexOf(step));
  expect(places.filter((place) => place < 0)).toEqual([]);
  const { failures, steps, payload, traceId } = await account(operationId);
  expect(failures.map(({ number }: { number: number }) => number)).toEqual([3, 2, 1]);
  expect(steps.map(({ atMs }: { atMs: number }) => atMs)).toEqual(
    steps.map(({ atMs }: { atMs: number }) => atMs).toSorted((one: number, other: number) => one - other),
  );
  for (const { message, stack } of failures) {
    expect(message).toContain(`device ${device} cannot be removed yet`);
    expect(stack).toStartWith("at ");
  }
  expect(payload).toMatchObject({ device });
  expect(traceId).toBeNull();
  expect(shown).toMatch(new RegExp(`Attempt 3, 20.* UTC: Device ${device} cannot be removed yet`));
  expect(shown).toContain(`Held by process ${pid}: sh -c`);
  expect(html).not.toContain("<script>alert");
  expect(shown).toContain("journalctl -u snapmill -o cat --since @");
  expect(shown).toContain(`| grep -F ${operationId}`);
  expect(formsOf(html).map(({ action }) => action)).toContain("/do/discardRemovals");
});

test("an operation that was asked for over HTTP says by whom and why, and that it is done", async () => {
  expect(prepareId).not.toBe("");
  const shown = textOf(await page(prepareId));
  expect(shown).toContain("Operation: prepare");
  expect(shown).toContain("State ✓ done");
  expect(shown).toContain("Prepare was asked for over HTTP, and began.");
  expect(shown).toContain("Answer in the journal: done.");
  expect(shown).toContain("Its caller had the answer: done.");
  expect(shown).toMatch(/By token dashboard of role operate, .*: POST .*; reason: for a build . Result: ok\./);
  expect(shown).toContain('"key": "web"');
  expect(formsOf(await page(prepareId)).map(({ action }) => action)).not.toContain("/do/cancelOperation");
  const reader = new Visitor(() => api.url);
  await reader.signIn((await api.place.run("token", "create", "looker", "--role", "read")).stdout.trim());
  const seen = textOf((await reader.visit(`/operations/${prepareId}`)).html);
  expect(seen).toContain("State ✓ done");
  expect(seen).not.toContain("for a build");
});

test("an unpack that failed is begun again with the same image, under another ID", async () => {
  const html = await page(unpackId);
  expect(textOf(html)).toContain("State ✗ failed");
  expect((await visitor.visit(`/pools/default/unpacks/${unpackId}`)).status).toBe(200);
  expect(html).toContain(`href="/pools/default/unpacks/${unpackId}"`);
  const again = formWith(html, "Unpack the image again");
  expect(textOf((await visitor.submit(again, { reason: "it is there now" })).html)).toContain(
    "Unpack the image again:",
  );
  const { body } = await api.ask("/v1/audit?operation=unpack&limit=1");
  expect(body.items[0]).toMatchObject({ reason: "it is there now" });
  expect(body.items[0].operationId).not.toBe(unpackId);
});

test("an ID that nobody knows, or that is none, is a page with the way out", async () => {
  for (const [id, status] of [
    ["never-heard-of-it", 404],
    ["%3Cscript%3E", 400],
  ] as const) {
    const visited = await visitor.visit(`/operations/${id}`);
    expect([id, visited.status]).toEqual([id, status]);
    expect(textOf(visited.html)).toContain("What to do:");
  }
});

test("the search leads from a key, a device and an operation ID to their pages", async () => {
  const hrefs = async (wanted: string) => {
    const { html } = await visitor.visit(`/search?${new URLSearchParams({ q: wanted }).toString()}`);
    return [...html.matchAll(/<a href="([^"]*)"><bdi class="name"/g)].map(([, href = ""]) =>
      href.replaceAll("&amp;", "&"),
    );
  };
  const removal = `/pools/default/removals?find=${held.device}&state=failed`;
  expect(await hrefs(held.device)).toEqual([removal]);
  expect(await hrefs(held.operationId)).toEqual([`/operations/${held.operationId}`, removal]);
  const devices = await Promise.all([1, 2, 3, 4].map((number) => api.pool(`/devices/default-snap-${number}`)));
  const [found] = devices.filter(({ body }) => body.snapshots?.[0]?.key === "web");
  const live: string = found?.body.device ?? "none is on a device";
  expect(live).toMatch(/^default-snap-\d$/);
  expect(await hrefs(live)).toEqual(["/pools/default/snapshot?scope=snapmill&key=web"]);
  expect((await api.pool("/devices/default-snap-999")).status).toBe(404);
  expect(await hrefs("web")).toContain("/pools/default/snapshot?scope=snapmill&key=web");
  for (const href of [removal, `/operations/${held.operationId}`]) expect((await visitor.visit(href)).status).toBe(200);
  expect(textOf((await visitor.visit(removal)).html)).toContain("1 removal matches");
});
