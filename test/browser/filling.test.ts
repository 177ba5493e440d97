// Room: test. Owns the story of a pool that fills, in a real browser: the verdict says so with the time that is left.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { RunningApi } from "../api/v1/running-api.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import { aPoint } from "../support/history.ts";
import { writeHistory } from "../support/made-history.ts";
import { describeWith } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { SignedIn } from "./signed-in.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let browser: Chromium;
let people: SignedIn;
beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  [api, browser] = await Promise.all([RunningApi.start(), Chromium.start()]);
  people = new SignedIn(browser, api.url);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

const stepMs = 10_000;
const hoursLeft = 3;

/** Half an hour at the rate at which what is free is full in three hours; up to what is in use. */
function writeRise({ usedBytes, totalBytes }: { usedBytes: number; totalBytes: number }): void {
  const perStep = ((totalBytes - usedBytes) / (hoursLeft * 3_600_000)) * stepMs;
  const steps = Math.min(180, Math.floor(usedBytes / perStep));
  const endMs = Date.now();
  const samples = Array.from({ length: steps }, (_, index) => {
    const before = steps - 1 - index;
    const dataUsedBytes = Math.round(usedBytes - before * perStep);
    return aPoint({ atMs: endMs - before * stepMs, dataUsedBytes, dataTotalBytes: totalBytes, restarts: 0 });
  });
  writeHistory(api.place.config, samples);
}

describeWith([chromiumProgram], "in a browser, a pool that fills", () => {
  test("is told with the time that is left, on every page, in its row and in its chart; two clicks lead to the button", async () => {
    const { space } = (await api.pool("/status")).body.metadata;
    await api.end();
    writeRise(space);
    await api.begin();
    people = new SignedIn(browser, api.url);
    await using tab = await people.open(api.token, { width: 390, theme: "dark" });
    const { page } = tab;
    expect(await tab.goTo("/")).toBe(200);
    await until(
      "the verdict says when the pool is full",
      () => page.getByLabel("Verdict").textContent(),
      (said) => said !== null && /Pool default is full in [23] h: \d+ % of 960 MiB in use/.test(said),
      60_000,
    );
    const main = page.locator("main");
    expect(await main.textContent()).toMatch(/warning: Pool default is full in [23] h/);
    expect(await main.locator(".rows").textContent()).toMatch(/Data! \d+ % of 960 MiB, full in [23] h/);
    expect(await main.textContent()).toMatch(/Next: At .*iB a second, as in the last hour, it is full in [23] h/);
    expect(await tab.accessibilityFaults()).toEqual([]);
    expect(await tab.overhang()).toBe(0);
    await main.locator(".findings summary").click();
    await main.locator(".findings").getByRole("button").click();
    await page.getByText(/Remove unused images until 20 % is free: done/).waitFor();
    expect(tab.clicks).toBe(2);
    expect(await tab.goTo("/pools/default?range=hour")).toBe(200);
    expect(await page.locator("#fill-desc").textContent()).toMatch(/data: from \d+ % to \d+ %, at last \d+ %\./);
    expect(await page.locator("figure.chart polyline.solid").count()).toBeGreaterThan(0);
    expect(tab.troubles()).toEqual([]);
  });
});
