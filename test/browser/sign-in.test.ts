// Room: test. Owns the stories of signing in with a real browser: by form, by the link on a terminal, and out again.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { childEnvironment } from "../../src/config.ts";
import { linesOf } from "../../src/system/process/lines.ts";
import { startProcess } from "../../src/system/process/processes.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { Place } from "../supervisor/running-up.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import { describeWith } from "../support/tools.ts";
import { signIn } from "./signed-in.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let browser: Chromium;
beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  [api, browser] = await Promise.all([RunningApi.start(), Chromium.start()]);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

describeWith([chromiumProgram], "in a browser", () => {
  test.each([true, false])(
    "the form leads to the page that was asked for, and out again (scripts: %p)",
    async (script) => {
      await using tab = await browser.open(api.url, { script });
      const { page } = tab;
      await tab.goTo("/search?q=abc");
      expect(page.url()).toContain("/sign-in");
      await signIn(tab, api.token);
      expect(page.url()).toBe(`${api.url}/search?q=abc`);
      const [cookie, ...others] = await tab.cookies();
      expect(others).toEqual([]);
      expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/" });
      expect(tab.troubles()).toEqual([]);

      await page.getByRole("button", { name: "Sign out" }).click();
      expect(await tab.cookies()).toEqual([]);
      await page.goBack();
      await page.getByLabel("Token").waitFor();
    },
  );

  test("a wrong token is refused in a sentence, and the next try may be right", async () => {
    await using tab = await browser.open(api.url);
    await tab.goTo("/");
    await signIn(tab, "not-a-token-of-this-snapmill");
    expect(await tab.page.getByRole("alert").textContent()).toContain("There is no such token");
    await signIn(tab, api.token);
    await tab.page.getByRole("button", { name: "Sign out" }).waitFor();
  });

  test("the link that up prints on a terminal signs in, once", async () => {
    using place = new Place();
    await using up = startOnTerminal(place);
    const link = await up.link;
    await using tab = await browser.open(new URL(link).origin);
    expect(await tab.goTo(link)).toBe(200);
    await tab.page.getByRole("button", { name: "Sign out" }).waitFor();
    expect(tab.page.url()).not.toContain("code=");
    expect(tab.troubles()).toEqual([]);

    await using other = await browser.open(new URL(link).origin);
    expect(await other.goTo(link)).toBe(401);
    expect(await other.page.getByRole("alert").textContent()).toContain("This link was used before");
    expect(await other.cookies()).toEqual([]);
  });
});

/** `up`, as if a person had typed it: script(1) gives it a terminal. */
function startOnTerminal({ settings }: Place) {
  const command = ["script", "--quiet", "--return", "--flush", "--command", `exec '${process.execPath}' src/main.ts`];
  const environment = { ...childEnvironment({}), ...settings };
  const process_ = startProcess([...command, "/dev/null"], {
    environment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  return {
    link: linkIn(process_.stdout),
    [Symbol.asyncDispose]: async () => {
      await process_.stop({ graceMs: 30_000 });
    },
  };
}

async function linkIn(output: ReadableStream<Uint8Array>): Promise<string> {
  const said: string[] = [];
  for await (const line of linesOf(output)) {
    const [link] = /http:\S+code=[\w-]+/.exec(line) ?? [];
    if (link !== undefined) return link;
    said.push(line);
  }
  throw new Error(`up prints no link: ${said.join("\n")}`);
}
