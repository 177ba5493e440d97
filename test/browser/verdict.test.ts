// Room: test. Owns the stories of the verdict in a real browser: it comes by itself, says what is wrong, and goes again.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
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
  [api, browser] = await Promise.all([RunningApi.start(), Chromium.start()]);
  people = new SignedIn(browser, api.url);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

const list = "/pools/default/snapshots";
const verdictOn = ({ page }: Tab) => page.getByLabel("Verdict").textContent();
const withinMs = 60_000;

/** Waits for the open page to say it; nobody reloads it. */
const untilItSays = (tab: Tab, text: RegExp) =>
  until(
    `the verdict matches ${text.source}`,
    () => verdictOn(tab),
    (said) => said !== null && text.test(said),
    withinMs,
  );

const signal = (program: string, name: NodeJS.Signals) => {
  for (const pid of api.place.pidsOf(program)) process.kill(pid, name);
};

describeWith([chromiumProgram], "in a browser, the verdict", () => {
  test("of a drained pool comes by itself, and goes with the click on its button and one more", async () => {
    await using tab = await people.open(api.token);
    await tab.goTo(list);
    await untilItSays(tab, /^\W*All is well/);
    await api.pool("/drain", { method: "POST", body: {} });
    await untilItSays(tab, /drained/i);
    expect(await tab.accessibilityFaults()).toEqual([]);
    const verdict = tab.page.getByLabel("Verdict");
    await verdict.locator("summary").click();
    await verdict.getByRole("button").click();
    await untilItSays(tab, /^\W*All is well/);
    expect(tab.clicks).toBe(2);
    expect(tab.troubles()).toEqual([]);
  });

  test("of a worker that is killed comes and goes", async () => {
    await using tab = await people.open(api.token, { theme: "dark", width: 390 });
    await tab.goTo(list);
    // Each pause before the next start is longer.
    await until(
      "the worker is missed",
      async () => {
        signal("workers/pool.ts", "SIGKILL");
        return await verdictOn(tab);
      },
      (said) => said?.includes("The worker of pool default does not run") === true,
      withinMs,
    );
    expect(await tab.accessibilityFaults()).toEqual([]);
    expect(await tab.overhang()).toBe(0);
    await untilItSays(tab, /workers have died or hung and were started again/i);
    expect((await api.pool("/snapshots/afterwards/prepare", { method: "POST", body: {} })).status).toBe(200);
  });

  test("of a lost Redis comes and goes, and the page is there all the while", async () => {
    await using tab = await people.open(api.token);
    await tab.goTo(list);
    signal("redis-server", "SIGSTOP");
    try {
      await untilItSays(tab, /the queue is away/i);
      expect(await tab.goTo(list)).toBe(200);
      expect(await tab.accessibilityFaults()).toEqual([]);
    } finally {
      signal("redis-server", "SIGCONT");
    }
    await until(
      "it is back",
      () => verdictOn(tab),
      (said) => said?.includes("queue is away") === false,
      withinMs,
    );
    expect(tab.troubles()).toEqual([]);
  });
});
