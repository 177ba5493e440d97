// Room: test. Owns what holds for every page in a real browser: readable and usable by everyone, on a telephone, in the
// dark, by keyboard, without scripts; nothing from elsewhere.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { pages } from "../../src/api/http/pages/pages.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
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

describeWith([chromiumProgram], "in a browser", () => {
  test("every page of the registry has an address in page-content.ts", () => {
    expect(Object.keys(content.addresses).toSorted()).toEqual([...paths].toSorted());
  });

  test.each(paths.flatMap((path) => views.map((view) => [path, view] as const)))(
    "%s shows no fault as %j",
    async (path, view) => {
      await using tab = await people.open(content.api.token, view);
      expect(await tab.goTo(addressOf(path))).toBe(200);
      expect(await tab.accessibilityFaults()).toEqual([]);
      expect(await tab.overhang()).toBe(0);
      expect(tab.troubles()).toEqual([]);
      // What is folded must hold as well when it is opened.
      await tab.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })");
      expect(await tab.accessibilityFaults()).toEqual([]);
      expect(await tab.overhang()).toBe(0);
    },
  );

  test.each(paths)("%s can be used by keyboard alone", async (path) => {
    await using tab = await people.open(content.api.token);
    await tab.goTo(addressOf(path));
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

  test.each(paths)("%s says the same without scripts", async (path) => {
    await using tab = await people.open(content.api.token, { script: false });
    expect(await tab.goTo(addressOf(path))).toBe(200);
    await using other = await people.open(content.api.token);
    await other.goTo(addressOf(path));
    const withoutTimes = (text: string | null) => text?.replaceAll(/\d\d:\d\d:\d\d/g, "TIME") ?? "nothing";
    expect(withoutTimes(await tab.page.locator("main").textContent())).toBe(
      withoutTimes(await other.page.locator("main").textContent()),
    );
    expect(tab.troubles()).toEqual([]);
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
    for (const view of views) {
      await using tab = await people.open(content.api.token, view);
      expect(await tab.goTo("/no-such-page")).toBe(404);
      expect(await tab.accessibilityFaults()).toEqual([]);
      expect(await tab.overhang()).toBe(0);
      await using stranger = await browser.open(content.api.url, view);
      await stranger.goTo("/");
      await signIn(stranger, "not-a-token-of-this-snapmill");
      await stranger.page.getByRole("alert").waitFor();
      expect(await stranger.accessibilityFaults()).toEqual([]);
      expect(await stranger.keyboardFaults()).toEqual([]);
      expect(await stranger.overhang()).toBe(0);
    }
  });
});
