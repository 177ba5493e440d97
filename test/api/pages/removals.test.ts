// The page "Removals" on a real `up` with devices that real processes hold: what it names, and what its buttons change.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../../support/until.ts";
import { HeldRemoval, removalsIn } from "../v1/held-removal.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formsOf, formWith, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(120_000);

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`;
const list = "/pools/default/removals";
const held: HeldRemoval[] = [];
let api: RunningApi;
const visitor = new Visitor(() => api.url);
const page = async (query = "") => (await visitor.visit(list + query)).html;
const text = async (query = "") => textOf(await page(query));

beforeAll(async () => {
  api = await RunningApi.start({
    SNAPMILL_ASYNC_REMOVE: "true",
    SNAPMILL_REMOVE_ATTEMPTS: "2",
    SNAPMILL_REMOVE_FIRST_PAUSE: "100ms",
  });
  expect(await visitor.signIn(api.token)).toBe(303);
  for (const key of ["web-1", "web-2", hostile]) held.push(await HeldRemoval.start(api, key, `${key} at work`));
  await until(
    "all are given up",
    () => removalsIn(api),
    (all) => all.every(({ state }) => state === "failed"),
  );
});
afterAll(async () => {
  for (const each of held) await each.end();
  await api[Symbol.asyncDispose]();
});
const nth = (index: number): HeldRemoval => held[index] as HeldRemoval;

test("names each process that holds a device, below what keeps the devices", async () => {
  const html = await page();
  const shown = textOf(html);
  expect(shown).toContain("3 removals match: 3 failed. Together they would free");
  expect(html.match(/<h2>/g)).toHaveLength(1);
  expect(shown).toContain("The device is in use. 3 removals,");
  for (const { pid, key, device } of held) {
    expect(shown).toContain(`Held by process ${pid}: sh -c`);
    expect(shown).toContain(`${key} at work`);
    expect(shown).toContain(`${device} of ${key} Change`);
    expect(shown).toContain(`✗ failed open in process ${pid} 2 none`);
    expect(shown).toContain(`At a terminal: ps -o pid,ppid,user,lstart,args -p ${pid}`);
  }
  expect(html).not.toContain("<script>alert");
});

test("is about what its address says", async () => {
  expect(await text("?find=web-1")).toContain("1 removal matches: 1 failed.");
  expect(await text("?state=pending")).toContain("No removal matches");
  expect(await text("?matching=no+such+error")).toContain("No removal matches");
  const one = await text(`?trouble=the+device+is+in+use&holder=process-${nth(1).pid}`);
  expect(one).toContain("1 removal matches: 1 failed.");
  expect(one).toContain(`Held by process ${nth(1).pid}`);
  expect(one).not.toContain(`Held by process ${nth(0).pid}`);
  expect(one).toContain(`snapmill removals retry --trouble 'the device is in use' --holder process-${nth(1).pid}`);
});

test("a confirmation of a set that has changed meanwhile changes nothing, and the page shows the new count", async () => {
  const retry = formWith(await page(), "Retry all 3 that match");
  const { device } = nth(1);
  await api.pool("/removals/discard", { method: "POST", body: { names: [device], reason: "evidence" } });
  const { html } = await visitor.submit(retry);
  expect(textOf(html)).toContain(
    "nothing was changed: others match than those that were confirmed, 2 removals match now",
  );
  expect(textOf(html)).toContain("2 removals match: 2 failed.");
  formWith(html, "Retry all 2 that match");
  expect((await removalsIn(api)).map(({ state }) => state)).toEqual(["failed", "discarded", "failed"]);
  const changed = { ...retry.fields, what: (retry.fields["what"] ?? "").replace(/"ifSet":"\w+"/, '"ifSet":null') };
  expect((await visitor.post(retry.action, changed)).status).toBe(403);
});

test("one is discarded with a reason, which the page shows, and retried", async () => {
  const { device } = nth(0);
  const one = formsOf(await page()).filter(({ fields }) => fields["what"]?.includes(`"names":["${device}"]`));
  expect(one.map(({ action }) => action)).toEqual(["/do/retryRemovals", "/do/discardRemovals"]);
  const [retry, discard] = one;
  if (retry === undefined || discard === undefined) throw new Error("there are no buttons");
  expect(textOf((await visitor.submit(discard)).html)).toContain("reason");
  expect((await removalsIn(api))[0]?.state).toBe("failed");
  await visitor.submit(discard, { "with.reason": "ticket <4711>" });
  expect(await text("?state=discarded")).toContain("– discarded ticket <4711>");
  await nth(0).end();
  expect(textOf((await visitor.submit(retry)).html)).toContain("Retry the removal: done");
  await until(
    "it is gone",
    () => removalsIn(api),
    (all) => all.every((each) => each.device !== device),
  );
});

test("what nobody holds any more is a group of its own, and goes with one button", async () => {
  for (const each of held) await each.end();
  await until(
    "nobody is named",
    () => text("?state=all"),
    (shown) => shown.includes("Held by nobody now"),
  );
  const retry = formWith(await page("?state=all"), "Retry all 2 that match");
  expect(textOf((await visitor.submit(retry, { reason: "they have ended" })).html)).toContain("done");
  await until(
    "the list is empty",
    () => text("?state=all"),
    (shown) => shown.includes("No removal matches"),
  );
  const { body } = await api.ask("/v1/audit?operation=retryRemovals&limit=1");
  expect(body.items[0]).toMatchObject({ token: "dashboard", reason: "they have ended", code: "ok" });
});
