// Room: test. Owns the proof that the checks of pages see what they are there for: each has a page that fails it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { linesOf } from "../../src/system/process/lines.ts";
import { startProcess } from "../../src/system/process/processes.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { processesWith } from "../support/processes.ts";
import { describeWith } from "../support/tools.ts";
import { until } from "../support/until.ts";

const style = "<style>body { color: #111; background: #fff } p { font: 16px sans-serif }</style>";
const pageOf = (body: string): string =>
  `<!doctype html><html lang="en"><title>A page</title>${style}<main><h1>A page</h1>${body}</main></html>`;

const strict = "default-src 'none'; style-src 'unsafe-inline'";
/** By path: its Content-Security-Policy and its HTML. */
const pages: Readonly<Record<string, readonly [policy: string, html: string]>> = {
  "/good": [strict, pageOf('<p>All <a href="/">is</a> well. <button>Go on</button></p>')],
  "/script": [strict, pageOf("<script>document.title = 'changed'</script>")],
  "/outside": [
    "",
    pageOf('<img alt="A picture" src="http://192.0.2.1/a.png"><img alt="" src="http://elsewhere.test/">'),
  ],
  "/socket": ["", pageOf('<script>new WebSocket("ws://192.0.2.1/")</script>')],
  "/console": ["", pageOf('<script>console.error("a cry"); throw new Error("a fall")</script>')],
  "/contrast": [strict, pageOf('<p style="color: #bbb">Pale</p><p><input></p>')],
  "/dark": [
    strict,
    pageOf("<style>@media (prefers-color-scheme: dark) { p { color: #222; background: #000 } }</style><p>By day alone"),
  ],
  "/wide": [strict, pageOf('<div style="width: 500px">Wide</div>')],
  "/mouse": [
    strict,
    pageOf(`<style>.bare:focus { outline: none }</style><a href="/">first</a> <button class="bare">bare</button>
      <a href="/" style="position: absolute; left: -999px">away</a> <button tabindex="5">early</button>
      <label><input type="radio" name="r"> a</label><label><input type="radio" name="r"> b</label>`),
  ],
  "/trap": ["", pageOf('<button onkeydown="event.preventDefault()">trap</button><button>never</button>')],
};

let server: Bun.Server<undefined>;
let browser: Chromium;
beforeAll(async () => {
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      const [policy = "", html] = pages[new URL(url).pathname] ?? [];
      if (html === undefined) return new Response(null, { status: 404 });
      return new Response(html, { headers: { "content-type": "text/html", "content-security-policy": policy } });
    },
  });
  if (Bun.which(chromiumProgram) !== null) browser = await Chromium.start();
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await server.stop(true);
});

const open = (view = {}) => browser.open(server.url.href, view);

describeWith([chromiumProgram], "of a page in the browser", () => {
  test("nothing is found where nothing is wrong", async () => {
    await using tab = await open();
    expect(await tab.goTo("/good")).toBe(200);
    expect(await tab.accessibilityFaults()).toEqual([]);
    expect(await tab.keyboardFaults()).toEqual([]);
    expect(await tab.overhang()).toBe(0);
    expect(tab.troubles()).toEqual([]);
    expect(tab.requests.map(({ href }) => href)).toEqual([new URL("/good", server.url).href]);
  });

  test("what its CSP forbids is reported, with and without scripts", async () => {
    await using tab = await open();
    await tab.goTo("/script");
    const seen = await until("it is reported", tab.troubles.bind(tab), (found) => found.length > 1);
    expect(seen.join("\n")).toMatch(/violates the CSP: script-src-elem inline/);
    expect(await tab.page.title()).toBe("A page");
  });

  test("a request to elsewhere is reported, and does not get there", async () => {
    await using tab = await open();
    const failed: string[] = [];
    tab.page.on("requestfailed", (request) => failed.push(request.failure()?.errorText ?? ""));
    await tab.goTo("/outside");
    expect(tab.troubles()).toContain("the page asked http://192.0.2.1/a.png");
    expect(tab.troubles()).toContain("the page asked http://elsewhere.test/");
    await until(
      "both have failed",
      () => failed,
      ({ length }) => length === 2,
      5_000,
    );
    await tab.goTo("/socket");
    await until(
      "the socket is reported",
      () => tab.troubles().join(),
      (all) => all.includes("opened ws://192.0.2.1/"),
    );
  });

  test("errors of its scripts are reported", async () => {
    await using tab = await open();
    await tab.goTo("/console");
    expect(tab.troubles()).toContain("error on the console: a cry");
    await until(
      "the other is seen",
      () => tab.troubles(),
      (all) => all.includes("the page's script threw a fall"),
    );
  });

  test("text that is hard to read and a field without a name are reported", async () => {
    await using tab = await open();
    await tab.goTo("/contrast");
    const found = (await tab.accessibilityFaults()).join("\n");
    expect(found).toMatch(/color-contrast at p:nth-child\(2\)/);
    expect(found).toMatch(/label at input/);
  });

  test("what is wrong in the dark alone is reported there alone", async () => {
    await using light = await open();
    await light.goTo("/dark");
    expect(await light.accessibilityFaults()).toEqual([]);
    await using dark = await open({ theme: "dark" });
    await dark.goTo("/dark");
    expect((await dark.accessibilityFaults()).join()).toContain("color-contrast");
  });

  test("a page that is wider than a telephone is reported there", async () => {
    await using telephone = await open({ width: 390 });
    await telephone.goTo("/wide");
    expect(await telephone.overhang()).toBeGreaterThan(100);
    await using screen = await open();
    await screen.goTo("/wide");
    expect(await screen.overhang()).toBe(0);
  });

  test("what a keyboard cannot reach, or reaches unseen or too early, is reported", async () => {
    await using tab = await open();
    await tab.goTo("/mouse");
    const faults = await tab.keyboardFaults();
    expect(faults).toContain('button "bare" looks the same with the focus and without');
    expect(faults).toContain('a "away" has the focus out of view');
    expect(faults).toContain('Tab reaches a "first" after what comes later in the page');
    expect(faults).toHaveLength(3);
    await tab.goTo("/trap");
    expect(await tab.keyboardFaults()).toContain('Tab does not reach button "never"');
  });

  test("it ends with all of its processes and files, also when Playwright is killed", async () => {
    const before = readdirSync(tmpdir());
    const second = await Chromium.start();
    const [directory = "none"] = readdirSync(tmpdir()).filter((name) => !before.includes(name));
    expect(processesWith(directory).length).toBeGreaterThan(1);
    process.kill(second.pid, "SIGKILL");
    await untilGone(directory);
    await second[Symbol.asyncDispose]();
    expect(readdirSync(tmpdir())).toEqual(before);
  });

  test("its processes end with the test, also when that is killed", async () => {
    await using directory = await temporaryDirectory();
    const module = join(import.meta.dir, "../support/browser/chromium.ts");
    const script = `import { Chromium } from "${module}"; await Chromium.start(); console.log("it runs")`;
    const environment = { ...childEnvironment({}), TMPDIR: directory.path };
    const command = [process.execPath, "--eval", script];
    const other = startProcess(command, { environment, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    expect((await linesOf(other.stdout).next()).value).toBe("it runs");
    expect(processesWith(directory.path).length).toBeGreaterThan(1);
    other.kill("SIGKILL");
    await untilGone(directory.path);
  });
});

const untilGone = (directory: string) =>
  until(
    "its processes are gone",
    () => processesWith(directory),
    (pids) => pids.length === 0,
  );
