// Room: test. Owns what holds for every page in a real browser: readable and usable by everyone, on a telephone, in the
// dark, by keyboard, without scripts; nothing from elsewhere.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { pages } from "../../src/api/http/pages/pages.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import type { Tab } from "../support/browser/tab.ts";
import { describeWith } from "../support/tools.ts";
import { type Content, hostile, makeContent } from "./page-content.ts";
import { SignedIn, signIn } from "./signed-in.ts";

setDefaultTimeout(120_000);

let content: Content;
let browser: Chromium;
let people: SignedIn;
beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  browser = await Chromium.start();
  content = await makeContent();
  people = new SignedIn(browser, content.api.url);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await content?.[Symbol.asyncDispose]();
});

const paths = pages.map(({ path }) => path);
const addressOf = (path: string): string => content.addresses[path] ?? "there is no such page";
const views = (["light", "dark"] as const).flatMap((theme) => [1280, 390].map((width) => ({ theme, width })));

/** The faults of the page, folded and unfolded, in every view; each with the view in which it was found. */
async function faultsIn(tab: Tab): Promise<string[]> {
  const wide: string[] = [];
  const note = async (when: string) => {
    for (const view of views) {
      await tab.look(view);
      const pixels = await tab.overhang();
      if (pixels > 0) wide.push(`${JSON.stringify(view)}, ${when}: ${pixels} pixels wider than the window`);
    }
  };
  await note("as it comes");
  await tab.unfold();
  await note("unfolded");
  const faults: string[] = [];
  for (const view of views) {
    await tab.look(view);
    for (const fault of await tab.accessibilityFaults()) faults.push(`${JSON.stringify(view)}: ${fault}`);
  }
  return [...wide, ...faults];
}

describeWith([chromiumProgram], "in a browser", () => {
  test("every page of the registry has an address in page-content.ts", () => {
    expect(Object.keys(content.addresses).toSorted()).toEqual([...paths].toSorted());
  });

  test.each(paths)("%s has no fault, light and dark, on a screen and on a telephone", async (path) => {
    await using tab = await people.open(content.api.token);
    expect(await tab.goTo(addressOf(path))).toBe(200);
    expect(await faultsIn(tab)).toEqual([]);
    expect(tab.troubles()).toEqual([]);
  });

  test.each(paths)("%s can be used by keyboard alone", async (path) => {
    await using tab = await people.open(content.api.token);
    await tab.goTo(addressOf(path));
    expect(await tab.keyboardFaults()).toEqual([]);
    await tab.goTo(addressOf(path));
    await tab.unfold();
    expect(await tab.keyboardFaults()).toEqual([]);
  });

  test.each(paths)("%s: the first stop of the keyboard leads past the frame", async (path) => {
    await using tab = await people.open(content.api.token);
    await tab.goTo(addressOf(path));
    await tab.page.keyboard.press("Tab");
    await tab.page.keyboard.press("Enter");
    expect(await tab.page.evaluate<string>("document.activeElement.localName")).toBe("main");
    await tab.page.keyboard.press("Tab");
    const where = await tab.page.evaluate<string>("document.activeElement.closest('main, header, footer')?.localName");
    expect(where).not.toBe("header");
  });

  test.each(paths)("%s has the same parts without scripts", async (path) => {
    const parts = "h1, h2, h3, caption, thead th, dt, summary, button, label, figcaption";
    const partsFor = async (script: boolean) => {
      await using tab = await people.open(content.api.token, { script });
      expect(await tab.goTo(addressOf(path))).toBe(200);
      expect(tab.troubles()).toEqual([]);
      // What has changed meanwhile is a number.
      return (await tab.page.locator(parts).allTextContents()).map((text) => text.replaceAll(/\d+/g, "N"));
    };
    expect(await partsFor(false)).toEqual(await partsFor(true));
  });

  test("names from outside are text, wherever they stand", async () => {
    await using tab = await people.open(content.api.token);
    for (const path of paths) {
      await tab.goTo(addressOf(path));
      expect(await tab.page.title()).not.toBe("taken");
      expect(await tab.page.locator("main script, img[src=x]").count()).toBe(0);
    }
    await tab.goTo(addressOf("/pools/:pool/snapshot"));
    expect(await tab.page.locator("main").textContent()).toContain(hostile.slice(0, 60));
    expect(tab.troubles()).toEqual([]);
  });

  test("a page that is not there, and signing in, show no fault either", async () => {
    await using tab = await people.open(content.api.token);
    expect(await tab.goTo("/no-such-page")).toBe(404);
    expect(await faultsIn(tab)).toEqual([]);
    await using stranger = await browser.open(content.api.url);
    await stranger.goTo("/");
    await signIn(stranger, "not-a-token-of-this-snapmill");
    await stranger.page.getByRole("alert").waitFor();
    expect(await faultsIn(stranger)).toEqual([]);
    expect(await stranger.keyboardFaults()).toEqual([]);
  });
});
