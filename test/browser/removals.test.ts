// Room: test. Owns the story of a stuck removal in a real browser: who holds the device is named, it ends, one button has it
// removed; and what does not happen on the way.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { HeldRemoval, removalsIn } from "../api/v1/held-removal.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import { describeWith } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { hostile } from "./page-content.ts";
import { SignedIn } from "./signed-in.ts";

setDefaultTimeout(90_000);

const list = "/pools/default/removals";
const held: HeldRemoval[] = [];
let api: RunningApi;
let browser: Chromium;
let people: SignedIn;
beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  const settings = { SNAPMILL_ASYNC_REMOVE: "true", SNAPMILL_REMOVE_ATTEMPTS: "2" };
  [api, browser] = await Promise.all([RunningApi.start(settings), Chromium.start()]);
  people = new SignedIn(browser, api.url);
  for (const key of ["web-1", `${hostile}-2`]) held.push(await HeldRemoval.start(api, key, `serve ${key}`));
  await failed(2);
});
afterAll(async () => {
  for (const each of held) await each.end();
  await browser?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

const failed = (count: number) =>
  until(
    `${count} are given up`,
    () => removalsIn(api),
    (all) => all.length === count && all.every(({ state }) => state === "failed"),
  );
const retryAll = (count: number) => ({ name: `Retry all ${count} that match`, exact: true }) as const;

describeWith([chromiumProgram], "in a browser, a removal that fails", () => {
  test("shows who holds the device, whatever it calls itself", async () => {
    await using tab = await people.open(api.token);
    await tab.goTo(list);
    for (const { pid, key } of held) {
      const heading = tab.page.getByRole("heading", { name: `Held by process ${pid}` });
      expect(await heading.textContent()).toContain(`serve ${key.slice(0, 60)}`);
    }
    expect(await tab.page.title()).toBe("Removals – snapmill");
    expect(await tab.page.locator("main script, img[src=x]").count()).toBe(0);
    expect(tab.troubles()).toEqual([]);
  });

  test("has no button for the role read, whom the server refuses as well", async () => {
    const token = (await api.place.run("token", "create", "onlooker", "--role", "read")).stdout.trim();
    await using looker = await people.open(token);
    await looker.goTo(list);
    await looker.page.getByText("2 removals match").waitFor();
    expect(await looker.page.locator("main").getByRole("button").allTextContents()).toEqual(["Show"]);
    expect(await looker.page.locator("main summary").count()).toBe(0);
    await using tab = await people.open(api.token);
    await tab.goTo(list);
    const form = "form[action='/do/retryRemovals']";
    const fields = await tab.page.evaluate<string>(
      `new URLSearchParams(new FormData(document.querySelector("main ${form}"))).toString()`,
    );
    const status = await looker.page.evaluate<number>(
      `fetch("/do/retryRemovals", { method: "POST", body: new URLSearchParams(${JSON.stringify(fields)}) }).then(({ status }) => status)`,
    );
    expect(status).toBe(403);
    expect((await removalsIn(api)).map(({ state }) => state)).toEqual(["failed", "failed"]);
  });

  test("is retried alone in two clicks, on the page of its operation", async () => {
    const alone = await HeldRemoval.start(api, "alone");
    try {
      await failed(3);
    } finally {
      await alone.end();
    }
    await using tab = await people.open(api.token);
    await tab.goTo(list);
    await tab.page.getByRole("link", { name: alone.device, exact: true }).click();
    await tab.page.getByRole("heading", { name: "Operation: remove-device" }).waitFor();
    expect(new URL(tab.page.url()).pathname).toBe(`/operations/${alone.operationId}`);
    await tab.page.getByRole("button", { name: "Retry the removal", exact: true }).click();
    await tab.page.getByText("Retry the removal: done").waitFor();
    expect(tab.clicks).toBe(2);
    await failed(2);
  });

  test.each([true, false])(
    "is not touched by a stale confirmation, which shows the new count (scripts: %p)",
    async (script) => {
      await using tab = await people.open(api.token, { script });
      await tab.goTo(list);
      await tab.page.locator("summary", { hasText: "Retry all 2 that match" }).click();
      const more = await HeldRemoval.start(api, `late-${String(script)}`);
      try {
        await failed(3);
        await tab.page.getByRole("button", retryAll(2)).click();
        await tab.page.getByText("nothing was changed: others match").waitFor();
        await tab.page.getByText("3 removals match: 3 failed.").waitFor();
        await tab.page.locator("summary", { hasText: "Retry all 3 that match" }).waitFor();
        expect((await removalsIn(api)).map(({ state }) => state)).toEqual(["failed", "failed", "failed"]);
      } finally {
        await more.end();
        await api.pool("/removals/retry", { method: "POST", body: { names: [more.device] } });
      }
      await failed(2);
    },
  );

  test("is retried with all that match in two clicks once its holder has ended, and the list is empty", async () => {
    await using tab = await people.open(api.token);
    await tab.goTo(list);
    await tab.page.getByRole("heading", { name: `Held by process ${String(held[0]?.pid)}` }).waitFor();
    for (const each of held) await each.end();
    // The page follows by itself.
    await tab.page.getByRole("heading", { name: "Held by nobody now" }).waitFor();
    await tab.page.locator("summary", { hasText: "Retry all 2 that match" }).click();
    await tab.page.getByRole("button", retryAll(2)).click();
    await tab.page.getByText("Retry all 2 that match: done").waitFor();
    expect(tab.clicks).toBe(2);
    await tab.page.getByText("No removal matches").waitFor();
    expect(await removalsIn(api)).toEqual([]);
    expect(tab.troubles()).toEqual([]);
  });
});
