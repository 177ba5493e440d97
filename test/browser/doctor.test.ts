// Room: test. Owns the story of a repair on the page "Doctor" with a real browser: what is ticked is repaired, and no more.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { filesDir } from "../../src/drivers/reflink/layout.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import type { Tab } from "../support/browser/tab.ts";
import { describeWith } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { SignedIn } from "./signed-in.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let browser: Chromium;
let people: SignedIn;
beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  browser = await Chromium.start();
  api = await RunningApi.start();
  people = new SignedIn(browser, api.url);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

/** Files of devices that were removed before, which a repair deletes. */
async function leaveFiles(...keys: readonly string[]): Promise<readonly string[]> {
  const directory = filesDir(paths.poolDir(api.place.config));
  // The first one also makes a template.
  await api.pool("/snapshots/first/prepare", { method: "POST", body: {} });
  const before = readdirSync(directory);
  for (const key of keys) await api.pool(`/snapshots/${key}/prepare`, { method: "POST", body: {} });
  const files = readdirSync(directory).filter((name) => !before.includes(name));
  for (const key of keys) await api.pool(`/snapshots/${key}`, { method: "DELETE" });
  const left = () => files.filter((name) => existsSync(join(directory, name)));
  await until("they are gone", left, ({ length }) => length === 0);
  for (const name of files) writeFileSync(join(directory, name), "");
  return files.map((name) => join(directory, name));
}

async function repairTicked({ page }: Tab, reason: string): Promise<void> {
  const main = page.locator("main");
  await main.locator("summary", { hasText: "Repair what is ticked" }).click();
  await main.locator("details[open]").getByLabel("Reason").fill(reason);
  await main.getByRole("button", { name: "Repair what is ticked" }).click();
}

describeWith([chromiumProgram], "in a browser", () => {
  test.each([true, false])("what is not ticked is left (scripts: %p)", async (script) => {
    const files = await leaveFiles("one", "two");
    expect(files).toHaveLength(2);
    await using tab = await people.open(api.token, { script });
    const { page } = tab;
    await tab.goTo("/pools/default/doctor");
    await page.getByRole("button", { name: "Look now" }).click();
    const boxes = page.getByRole("checkbox", { name: /^Repair / });
    await boxes.first().waitFor();
    expect(await boxes.count()).toBe(2);
    expect(await page.getByRole("checkbox", { checked: true }).count()).toBe(2);
    if (script) expect(await tab.accessibilityFaults()).toEqual([]);

    await boxes.first().uncheck();
    await repairTicked(tab, "one after the other");
    await page.getByText("Repair what is ticked: done").waitFor();
    expect(await boxes.count()).toBe(1);
    expect(files.filter((file) => existsSync(file))).toHaveLength(1);

    await repairTicked(tab, "the other");
    await boxes.first().waitFor({ state: "detached" });
    expect(files.filter((file) => existsSync(file))).toEqual([]);
    expect(tab.troubles()).toEqual([]);
  });
});
