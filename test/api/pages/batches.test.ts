// Batches, Doctor and Audit on a real `up`: what they show, and what their buttons do.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../../src/config.ts";
import { filesDir } from "../../../src/drivers/reflink/layout.ts";
import { until } from "../../support/until.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formWith, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
const visitor = new Visitor(() => api.url);
const address = "/pools/default/batches/nightly";
const state = async () => (await api.pool("/batches/nightly")).body.state;

beforeAll(async () => {
  api = await RunningApi.start();
  expect(await visitor.signIn(api.token)).toBe(303);
  const items = ["one", "two"].map((name) => ({ reference: `oci:/there/is/no/${name}:latest` }));
  await api.pool("/batches/nightly", { method: "PUT", body: { name: "=nightly", items, attempts: 1 } });
  await until("it has failed", state, (found) => found === "failed");
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

test("a batch shows each image in each pool, and its failures by class", async () => {
  expect(textOf((await visitor.visit("/pools/default/batches")).html)).toContain("2 of 2 ended, 2 failed");
  const { html } = await visitor.visit(address);
  const text = textOf(html);
  expect(text).toContain("Batch nightly: =nightly");
  expect(text).toMatch(/✗ failed : .*there.is.no.one/);
  expect(text).toMatch(/Failures by class .*, stage \w+ 2 /);
  expect(textOf((await visitor.visit(`${address}?state=done`)).html)).toContain("0 images");
  expect((await visitor.visit("/pools/default/batches/no-such-one")).status).toBe(404);
});

test("failures come as CSV", async () => {
  const answer = await visitor.send(`${address}/failures.csv`);
  expect(answer.headers.get("content-disposition")).toBe('attachment; filename="nightly-failures.csv"');
  const lines = (await answer.text()).trim().split("\r\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toBe("pool,reference,platform,attempts,code,stage,message,ended,operation");
  expect(lines[1]).toMatch(/^default,oci:\/there\/is\/no\/one:latest,linux\/\w+,1,\w+,\w+,/);
  expect((await new Visitor(() => api.url).send(`${address}/failures.csv`)).status).toBe(303);
});

test("what has failed is retried, and a batch that runs is cancelled", async () => {
  await api.pool("/queues/unpack/pause", { method: "POST", body: {} });
  const retried = await visitor.submit(formWith((await visitor.visit(address)).html, "Retry 2 failed in default"));
  expect(textOf(retried.html)).toContain("Retry 2 failed in default: done");
  expect(await state()).toBe("running");
  const cancel = formWith((await visitor.visit(address)).html, "Cancel the batch in default");
  const cancelled = await visitor.submit(cancel, { reason: "wrong list" });
  expect(textOf(cancelled.html)).toContain("Cancelled: cancelled by token dashboard .");
  await until("it is cancelled", state, (found) => found === "cancelled");
  await api.pool("/resume", { method: "POST", body: {} });
  const rows = (await api.ask("/v1/audit?operation=cancelBatch")).body.items;
  expect(rows).toMatchObject([{ reason: "wrong list", code: "ok", pool: "default" }]);
});

test("the audit page shows changes with their reasons, and filters them", async () => {
  const { html } = await visitor.visit("/audit?operation=cancelBatch");
  expect(textOf(html)).toMatch(/UTC dashboard \(operate\) cancelBatch .*"batch": "nightly".* default wrong list ✓ ok/);
  expect(textOf(html)).not.toContain("retryBatch");
  expect(textOf((await visitor.visit("/audit?token=nobody")).html)).toContain("No change is like this.");
});

test("doctor looks when asked, and repairs of what is safe only what is ticked", async () => {
  const doctor = "/pools/default/doctor";
  const look = async () => visitor.submit(formWith((await visitor.visit(doctor)).html, "Look now"));
  expect(textOf((await look()).html)).toContain("✓ The pool was in order at ");

  const files = filesDir(paths.poolDir(api.place.config));
  await api.pool("/snapshots/first/prepare", { method: "POST", body: {} });
  const before = readdirSync(files);
  const keys = ["gone", "also-gone"];
  for (const key of keys) await api.pool(`/snapshots/${key}/prepare`, { method: "POST", body: {} });
  const ours = readdirSync(files).filter((name) => !before.includes(name));
  expect(ours).toHaveLength(2);
  for (const key of keys) await api.pool(`/snapshots/${key}`, { method: "DELETE" });
  const there = () => ours.filter((name) => existsSync(join(files, name)));
  await until("their files are gone", there, (left) => left.length === 0);
  // Two that snapmill had, and one that it never had.
  for (const name of [...ours, "default-snap-999.img"]) writeFileSync(join(files, name), "");
  const found = await look();
  expect(textOf(found.html)).toContain("3 things not in order");
  expect(textOf(found.html)).toMatch(/device default-snap-999 .* repair leaves it alone.* ! left to you/i);
  const boxes = [
    ...found.html.matchAll(/<input type="checkbox" name="with.only" value="(\w+)" form="(\w+)" checked=""\/>/g),
  ];
  const ids = boxes.map(([, id = ""]) => id);
  expect(ids).toHaveLength(2);
  expect(found.html).toContain(
    `<form id="${boxes[0]?.[2] ?? "none"}" class="action" method="post" action="/do/doctor">`,
  );
  expect(textOf(found.html)).toContain(`At a terminal: snapmill doctor --repair --only ${ids.join(" ")}`);

  // A look's address can be sent to those who may only read.
  const { stdout } = await api.place.run("token", "create", "onlooker", "--role", "read");
  const onlooker = new Visitor(() => api.url);
  await onlooker.signIn(stdout.trim());
  const operation = /\?(operation=[\w-]+)/.exec(found.html)?.[1] ?? "";
  const { html: shown } = await onlooker.visit(`${doctor}?${operation}`);
  expect(textOf(shown)).toContain("3 things not in order");
  expect(textOf(shown)).toContain("✓ safe to repair");
  expect(shown).not.toContain('type="checkbox"');

  const button = formWith(found.html, "Repair what is ticked");
  const reason = "after the crash";
  const nothing = await visitor.submit(button, { reason });
  expect([nothing.status, textOf(nothing.html)]).toEqual([400, expect.stringContaining("choose at least one finding")]);
  expect(there()).toEqual(ours);

  const [first = "", second = ""] = ids;
  const repaired = await visitor.submit(button, { reason, "with.only": first });
  expect(textOf(repaired.html)).toMatch(/none is needed any more ✓ repaired/);
  expect(there()).toHaveLength(1);
  expect(repaired.html).not.toContain(`value="${first}"`);
  expect(repaired.html).toContain(`value="${second}"`);

  // The page of before, with what has been repaired since still ticked.
  const again = await visitor.submit(button, { reason, "with.only": ids });
  expect(textOf(again.html)).toContain(`Finding ${first} is not found any more.`);
  expect(there()).toEqual([]);
  expect((await api.ask("/v1/audit?operation=doctor&limit=1")).body.items[0]).toMatchObject({
    reason,
    request: { repair: true, only: ids },
  });
  rmSync(join(files, "default-snap-999.img"));

  const { operationId: other } = (await api.ask("/v1/audit?operation=cancelBatch")).body.items[0];
  expect(textOf((await visitor.visit(`${doctor}?operation=${other}`)).html)).toContain("not a look at this pool");
});
