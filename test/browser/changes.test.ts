// Room: test. Owns the stories of changes made on the pages with a real browser: who may, how many clicks, and forgeries.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { RunningApi } from "../api/v1/running-api.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import type { Tab } from "../support/browser/tab.ts";
import { describeWith } from "../support/tools.ts";
import { type Content, makeContent } from "./page-content.ts";
import { SignedIn } from "./signed-in.ts";

setDefaultTimeout(120_000);

let content: Content;
let api: RunningApi;
let browser: Chromium;
let people: SignedIn;
beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  browser = await Chromium.start();
  content = await makeContent();
  api = content.api;
  people = new SignedIn(browser, api.url);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await content?.[Symbol.asyncDispose]();
});

const path = (key: string) => `/pools/default/snapshot?key=${key}`;
const statusOf = async (key: string) => (await api.pool(`/snapshots/${key}`)).status;
const make = (key: string) => api.pool(`/snapshots/${key}/prepare`, { method: "POST", body: {} });

/** Opens the form of a button that asks for a reason, gives one, and sends it. */
async function press({ page }: Tab, name: string): Promise<void> {
  const main = page.locator("main");
  await main.locator("summary", { hasText: name }).click();
  await main.locator("details[open]").getByLabel("Reason").fill("it is not needed any more");
  await main.getByRole("button", { name }).click();
}

/** What the form of a button would send. */
const formOf = ({ page }: Tab) =>
  page.evaluate<Record<string, string>>(
    "Object.fromEntries(new FormData(document.querySelector('main form.action[method=post]')))",
  );

describeWith([chromiumProgram], "in a browser", () => {
  test.each([true, false])("a snapshot is removed with two clicks and a reason (scripts: %p)", async (script) => {
    await make("away");
    await using tab = await people.open(api.token, { script });
    await tab.goTo(path("away"));
    await press(tab, "Remove the snapshot");
    await tab.page.getByText("Remove the snapshot: done").waitFor();
    if (script) expect(tab.clicks).toBe(2);
    expect(await statusOf("away")).toBe(404);
    const [entry] = (await api.ask("/v1/audit?limit=1")).body.items;
    expect(entry).toMatchObject({ operation: "remove", reason: "it is not needed any more", token: "dashboard" });
  });

  test("the same by keyboard alone", async () => {
    await make("by-keyboard");
    await using tab = await people.open(api.token);
    await tab.goTo(path("by-keyboard"));
    const { keyboard } = tab.page;
    const tabUntil = async (selector: string) => {
      for (let presses = 0; presses < 50; presses++) {
        await keyboard.press("Tab");
        if (await tab.page.evaluate<boolean>(`document.activeElement.matches("${selector}")`)) return;
      }
      throw new Error(`Tab does not reach ${selector}`);
    };
    await tabUntil("main details.action > summary");
    await keyboard.press("Enter");
    await tabUntil("main [name=reason]");
    await keyboard.type("by keyboard");
    await tabUntil("main form.action button");
    await keyboard.press("Space");
    await tab.page.getByText("Remove the snapshot: done").waitFor();
    expect(await statusOf("by-keyboard")).toBe(404);
  });

  test("a form without its reason is not sent", async () => {
    await using tab = await people.open(api.token);
    await tab.goTo(path("web-1"));
    await tab.page.locator("summary", { hasText: "Remove the snapshot" }).click();
    const before = tab.requests.length;
    await tab.page.getByRole("button", { name: "Remove the snapshot" }).click();
    expect(await tab.page.evaluate<boolean>("document.querySelector('main [name=reason]').validity.valueMissing")).toBe(
      true,
    );
    expect(tab.requests.length).toBe(before);
  });

  test("the role read sees no button, and a forged form with its cookie is refused by the server", async () => {
    await using operator = await people.open(api.token);
    await operator.goTo(path("web-1"));
    const form = await formOf(operator);
    expect(form["seal"]).not.toBe("");

    await using reader = await people.open(content.reader);
    for (const address of Object.values(content.addresses)) {
      await reader.goTo(address);
      expect(await reader.page.locator("form[method=post]").count()).toBe(1);
      expect(await reader.page.getByRole("button").allTextContents()).toEqual(
        expect.arrayContaining(["Search", "Sign out"]),
      );
      expect(await reader.page.locator("details.action").count()).toBe(0);
    }
    const body = JSON.stringify(new URLSearchParams({ ...form, reason: "forged" }).toString());
    const answer = await reader.page.evaluate<{ status: number; text: string }>(
      `fetch("/do/remove", {
        method: "POST", body: ${body}, headers: { "content-type": "application/x-www-form-urlencoded" },
      }).then(async (answer) => ({ status: answer.status, text: await answer.text() }))`,
    );
    expect([answer.status, answer.text]).toEqual([403, expect.stringContaining("has the role read")]);
    expect(await statusOf("web-1")).toBe(200);
  });

  test("a page of another site that sends an operator's form changes nothing", async () => {
    await using tab = await people.open(api.token);
    await tab.goTo(path("web-1"));
    const fields = Object.entries({ ...(await formOf(tab)), reason: "forged" }).map(
      ([name, value]) => `<input name="${name}" value="${Bun.escapeHTML(value)}">`,
    );
    const html = `<form method="post" action="${api.url}/do/remove">${fields.join("")}<button>Win</button></form>`;
    await using site = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(html, { headers: { "content-type": "text/html" } }),
    });
    await tab.goTo(site.url.href);
    await tab.page.getByRole("button", { name: "Win" }).click();
    await tab.page.waitForURL(`${api.url}/**`);
    expect(await tab.page.locator("main").textContent()).toContain("another site");
    expect(await statusOf("web-1")).toBe(200);
  });
});
