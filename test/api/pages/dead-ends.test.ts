// What whoever is on call meets on the way: a page that is gone, a worker that hangs, words that a page would not show.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { operand, shellWord } from "../../../src/api/http/pages/names.tsx";
import { pages } from "../../../src/api/http/pages/pages.ts";
import { wayOutOfFailure } from "../../../src/api/http/pages/problem-page.tsx";
import { errorCodes } from "../../../src/domain/errors.ts";
import { until } from "../../support/until.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formsOf, formWith, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(60_000);

let api: RunningApi;
const visitor = new Visitor(() => api.url);

beforeAll(async () => {
  api = await RunningApi.start();
  expect(await visitor.signIn(api.token)).toBe(303);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const prepare = (key: string) => api.pool(`/snapshots/${key}/prepare`, { method: "POST", body: {} });
const linksTo = (html: string, pool: string) => html.split(`="/pools/${pool}`).length - 1;

describe("a pool that is not served here", () => {
  const ofPools = pages.filter(({ path }) => path.includes(":pool")).map(({ path }) => path);

  test.each(ofPools)("has no page %s, and no button: its links lead to one that is", async (path) => {
    const address = path.replace(":pool", "none").replace(":operationId", "op-00000000").replace(":batch", "nightly");
    const { status, html } = await visitor.visit(address);
    expect([status, textOf(html)]).toEqual([404, expect.stringContaining("there is no pool none here, only default")]);
    expect(formsOf(html).map(({ action }) => action)).toEqual(["/sign-out"]);
    expect([linksTo(html, "none"), linksTo(html, "default") > 5]).toEqual([0, true]);
  });

  test("in the address of a page of the host leads to none either", async () => {
    const { status, html } = await visitor.visit("/search?q=x&pool=none");
    expect([status, linksTo(html, "none"), linksTo(html, "default") > 5]).toEqual([200, 0, true]);
  });
});

test("what removes the thing that its page is about leads to the list, with what came of it", async () => {
  await prepare("short-lived");
  const { html } = await visitor.visit("/pools/default/snapshot?key=short-lived");
  const done = await visitor.submit(formWith(html, "Remove the snapshot"), { reason: "no longer needed" });
  expect([done.status, textOf(done.html)]).toEqual([200, expect.stringContaining("✓ Remove the snapshot: done")]);
  expect(done.html).toContain("<h1>Snapshots</h1>");
});

test("what came of a button leads to its operation with one click, and so does the audit log", async () => {
  const { html } = await visitor.visit("/pools/default");
  const done = await visitor.submit(formWith(html, "Clean up"), { reason: "a look" });
  const [, link = ""] = /Operation <a href="([^"]*)"/.exec(done.html) ?? [];
  expect(textOf((await visitor.visit(link)).html)).toContain("Operation: cleanup");
  expect((await visitor.visit("/audit")).html).toContain(`<a href="${link}">operation</a>`);
});

test("a search that finds more than it shows says so, and leads to all of them", async () => {
  for (let number = 0; number < 51; number += 1) await prepare(`crowd-${number}`);
  const { html } = await visitor.visit("/search?q=crowd-");
  expect(html.split('<th scope="row">').length - 1).toBe(50);
  expect(textOf(html)).toContain(
    "More than 50 are found of the kind snapshot in pool default: the first 50 are shown.",
  );
  const [, link = ""] = /<a href="([^"]*)">List them</.exec(html) ?? [];
  expect(textOf((await visitor.visit(link.replaceAll("&amp;", "&"))).html)).toContain("; 51 found");
  expect(textOf((await visitor.visit("/search?q=crowd-5")).html)).not.toContain("More than 50");
});

test.each(["Run doctor", "Repair"])("%s on a pool's page shows what it has found", async (label) => {
  const { html } = await visitor.visit("/pools/default");
  const found = await visitor.submit(formWith(html, label), { reason: "a look" });
  expect([found.status, textOf(found.html)]).toEqual([200, expect.stringContaining("The pool was in order at ")]);
});

test("a button that a worker does not answer says that nothing happens, not that it is under way", async () => {
  await prepare("kept");
  const { html } = await visitor.visit("/pools/default/snapshot?key=kept");
  const workers = api.place.pidsOf("workers/pool.ts");
  expect(workers).toHaveLength(1);
  for (const pid of workers) process.kill(pid, "SIGSTOP");
  try {
    const { html: said } = await visitor.submit(formWith(html, "Remove the snapshot"), { reason: "x" });
    expect(textOf(said)).toMatch(/✗ Remove the snapshot: .* was taken back and will not happen/);
    expect(textOf(said)).toContain("What to do: press the button again in a moment; the verdict says what is away.");
  } finally {
    for (const pid of workers) process.kill(pid, "SIGCONT");
  }
  await until(
    "it answers again",
    async () => (await prepare("after")).status,
    (status) => status === 200 || status === 409,
  );
  expect((await visitor.visit("/pools/default/snapshot?key=kept")).status).toBe(200);
});

test.each([...errorCodes])("after %s, a person is not told of requests and headers", (code) => {
  expect(wayOutOfFailure(code)).not.toMatch(/Idempotency-Key|send the request|header|[Dd]etail/);
});

test.each(["a b", "a  b", "it's", "line\nline", "\u001b[31m", "\u202egnp.exe", "\u{e0041}\\n'x", "$(x) `y` !z \\"])(
  "a shell reads %j as it is, of characters that a page shows",
  (text) => {
    const word = shellWord(text);
    expect(word).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    const { stdout } = Bun.spawnSync(["bash", "-c", `printf %s ${word}`], { env: { LC_ALL: "C.UTF-8", PATH: "/bin" } });
    expect(stdout.toString()).toBe(text);
  },
);

test("a name that looks like an option is none", () => {
  expect([operand("--help"), operand("web-1")]).toEqual(["-- --help", "web-1"]);
});
