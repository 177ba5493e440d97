// Room: test. Owns the page that tries the API, and bull-board, in a real browser.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Dashboard } from "../../src/api/dashboard/dashboard.ts";
import { poolName } from "../../src/domain/identifiers.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import type { Tab } from "../support/browser/tab.ts";
import { type TestServer, testServer } from "../support/http-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { describeWith } from "../support/tools.ts";

const token = "not-a-secret-0123456789";
const credentials = { username: "snapmill", password: token };

let redis: TestRedis;
let server: TestServer;
let dashboard: Dashboard;
let browser: Chromium;
beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  [redis, browser] = await Promise.all([startRedis(), Chromium.start()]);
  server = testServer(token);
  dashboard = await Dashboard.open({ redisUrl: redis.url, pools: [poolName("default")] });
  server.show(dashboard.app);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await dashboard?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
});

const views = (["light", "dark"] as const).flatMap((theme) => [1280, 390].map((width) => ({ theme, width })));

/** The page makes itself from the API's document; every form of it is unfolded. */
async function showEverything(tab: Tab): Promise<void> {
  await tab.page.locator("summary").first().waitFor();
  await tab.unfold();
}

describeWith([chromiumProgram], "in a browser", () => {
  test.each(views)("the API's page can be read and used by everyone: %j", async (view) => {
    await using tab = await browser.open(server.url, { ...view, credentials });
    expect(await tab.goTo("/v1/docs")).toBe(200);
    await showEverything(tab);
    expect(await tab.accessibilityFaults()).toEqual([]);
    expect(await tab.overhang()).toBe(0);
    expect(tab.troubles()).toEqual([]);
  });

  test("the API's page can be used by keyboard alone", async () => {
    await using tab = await browser.open(server.url, { credentials });
    await tab.goTo("/v1/docs");
    await showEverything(tab);
    expect(await tab.keyboardFaults()).toEqual([]);
  });

  test("the API's page sends a request, and shows the answer", async () => {
    await using tab = await browser.open(server.url, { credentials });
    await tab.goTo("/v1/docs");
    await tab.page.locator("summary", { hasText: "GET /v1/audit" }).click();
    const form = tab.page.locator("details[open] form");
    await form.getByLabel("limit").fill("1");
    await form.getByRole("button", { name: "Send" }).press("Enter");
    await form.getByText("200 OK").waitFor();
    expect(tab.requests.at(-1)?.href).toEndWith("/v1/audit?limit=1");
    expect(await tab.accessibilityFaults()).toEqual([]);
    expect(tab.troubles()).toEqual([]);
  });

  test("bull-board shows the queues, and asks nothing but this server", async () => {
    await using tab = await browser.open(server.url, { credentials });
    expect(await tab.goTo("/queues")).toBe(200);
    await tab.page.getByText("default.pool").first().waitFor();
    expect(tab.troubles()).toEqual([]);
    expect(new Set(tab.requests.map(({ origin }) => origin))).toEqual(new Set([new URL(server.url).origin]));
  });
});
