// Room: test. Owns how the pages of a real `up` follow what happens in a real browser, and what forms do there.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { RunningApi } from "../api/v1/running-api.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import type { View } from "../support/browser/tab.ts";
import { describeWith } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { SignedIn } from "./signed-in.ts";

setDefaultTimeout(60_000);

let api: RunningApi;
let browser: Chromium;
let people: SignedIn;
beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  [api, browser] = await Promise.all([RunningApi.start(), Chromium.start()]);
  people = new SignedIn(browser, api.url);
  await prepare("base");
  await api.pool("/snapshots/base/commit", { method: "POST", body: { name: "layer" } });
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

const prepare = (key: string) => api.pool(`/snapshots/${key}/prepare`, { method: "POST", body: {} });
const list = "/pools/default/snapshots";
const pageOf = (key: string) => `/pools/default/snapshot?key=${key}`;

async function opened(path: string, view: View = {}) {
  const tab = await people.open(api.token, view);
  await tab.goTo(path);
  return tab;
}

describeWith([chromiumProgram], "in a browser, the pages", () => {
  test("show a change by themselves, and keep the focus", async () => {
    await using tab = await opened(list);
    const link = tab.page.getByRole("link", { name: "layer" });
    await link.focus();
    await prepare("new-one");
    await tab.page.getByRole("link", { name: "new-one" }).waitFor();
    expect(await tab.page.evaluate<string>("document.activeElement.textContent")).toBe("layer");
    await tab.page.getByText("(renewed when something changes)").waitFor();
    expect(tab.troubles()).toEqual([]);
  });

  test("leave alone whoever is filling in a form, and catch up afterwards", async () => {
    await using tab = await opened(pageOf("new-one"));
    await tab.page.locator("details.action summary").click();
    const reason = tab.page.getByLabel("Reason");
    await reason.fill("half of a sen");
    const asked = tab.requests.length;
    await api.pool("/snapshots/new-one/labels", { method: "PATCH", body: { labels: { later: "yes" } } });
    // The list of another tab has learnt of it by then.
    await using other = await opened(list);
    await other.page.getByText("later=yes").waitFor();
    expect(await reason.inputValue()).toBe("half of a sen");
    await tab.page.getByText("(not renewed while you select or fill in something").waitFor();
    expect(tab.requests.slice(asked).filter(({ pathname }) => pathname.includes("snapshot"))).toEqual([]);
    await reason.fill("");
    await tab.page.locator("details.action summary").click();
    await tab.page.getByText("later").waitFor();
    await tab.page.getByText("(renewed when something changes)").waitFor();
  });

  test("say that nothing is heard of snapmill when the connection is silent, and catch up when it is not", async () => {
    await using tab = await opened(list);
    await tab.page.getByText("(renewed when something changes)").waitFor();
    process.kill(api.pid, "SIGSTOP");
    try {
      await tab.page.getByText("(not renewed: snapmill does not answer)").waitFor();
    } finally {
      process.kill(api.pid, "SIGCONT");
    }
    await prepare("after-silence");
    await tab.page.getByRole("link", { name: "after-silence" }).waitFor();
    await tab.page.getByText("(renewed when something changes)").waitFor();
  });

  test("change something with two clicks and a reason, and say so once", async () => {
    await using tab = await opened(pageOf("new-one"));
    await tab.page.locator("details.action summary").click();
    await tab.page.getByLabel("Reason").fill("no longer needed");
    await tab.page.getByRole("button", { name: "Remove the snapshot" }).click();
    await tab.page.getByText("Remove the snapshot: done").waitFor();
    expect((await api.pool("/snapshots/new-one")).status).toBe(404);
    const { body } = await api.ask("/v1/audit?operation=remove");
    expect(body.items[0]).toMatchObject({ token: "dashboard", reason: "no longer needed", code: "ok" });
  });

  test("do all of it without scripts", async () => {
    await prepare("scriptless");
    await using tab = await opened(pageOf("scriptless"), { script: false });
    await tab.page.locator("details.action summary").click();
    await tab.page.getByLabel("Reason").fill("by hand");
    await tab.page.getByRole("button", { name: "Remove the snapshot" }).click();
    await tab.page.getByText("Remove the snapshot: done").waitFor();
    expect(tab.requests.filter(({ pathname }) => pathname.endsWith(".js") || pathname === "/events")).toEqual([]);
  });

  test("lead to signing in as soon as their token is revoked", async () => {
    const token = (await api.place.run("token", "create", "brief", "--role", "read")).stdout.trim();
    await using tab = await people.open(token);
    await tab.goTo(list);
    await tab.page.getByText("role read (looks, and changes nothing)").waitFor();
    await api.place.run("token", "revoke", "brief");
    await until(
      "it is to sign in",
      () => new URL(tab.page.url()).pathname,
      (path) => path === "/sign-in",
    );
  });
});
