// Room: test. Owns the story of an unpack in a real browser: its layers trickle in from a registry, the waterfall moves by
// itself, and it is cancelled there.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { RunningApi } from "../api/v1/running-api.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import type { Tab } from "../support/browser/tab.ts";
import { type Fault, FaultyProxy, writeHead } from "../support/faulty-proxy.ts";
import { pushImage, pushLargeLayer, pushLayer } from "../support/many-images.ts";
import { Registry, registryPrograms } from "../support/registry.ts";
import { describeWith } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { SignedIn } from "./signed-in.ts";

setDefaultTimeout(120_000);

const programs = [chromiumProgram, ...registryPrograms];
let browser: Chromium;
let api: RunningApi;
let registry: Registry;
let proxy: FaultyProxy;
let people: SignedIn;
beforeAll(async () => {
  if (programs.some((program) => Bun.which(program) === null)) return;
  [api, browser] = await Promise.all([RunningApi.start(), Chromium.start()]);
  registry = await Registry.start(join(api.place.directory, "registry"));
  proxy = await FaultyProxy.start(`http://${registry.host}`);
  people = new SignedIn(browser, api.url);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

const pieceBytes = 1_000;
const pieceMs = 200;

/** A thousand bytes at a time, until the client goes. */
const trickle: Fault = async (socket, { status, headers, body }) => {
  writeHead(socket, status, { ...headers, "content-length": body.length });
  for (let at = 0; at < body.length && !socket.destroyed; at += pieceBytes) {
    socket.write(body.subarray(at, at + pieceBytes));
    await Bun.sleep(pieceMs);
  }
};

/** An image of two layers, the upper of which takes half a minute. */
async function beginSlowUnpack(): Promise<string> {
  const web = { host: registry.host, name: "shop/web" };
  const large = await pushLargeLayer(web, 24);
  await pushImage(web, "2.0", [await pushLayer(web, ["srv/web"]), large]);
  proxy.plan(new RegExp(`/blobs/${large.descriptor.digest}`), trickle, 9);
  const reference = `docker://${proxy.host}/shop/web:2.0`;
  const { status } = await api.pool("/images/unpack", {
    method: "POST",
    headers: { prefer: "respond-async" },
    body: { reference, registry: { plainHttp: true } },
  });
  expect(status).toBe(202);
  return reference;
}

/** Where the bar of the download begins: time goes on to the right of it, so it moves to the left. */
const downloadAt = async ({ page }: Tab): Promise<number> =>
  Number(await page.locator("main svg.waterfall rect.stage.read.open").first().getAttribute("x"));
const bytesRead = ({ page }: Tab) => page.locator("main tbody tr").nth(1).locator("td").nth(1).textContent();

describeWith(programs, "in a browser, an unpack", () => {
  test("shows its waterfall moving, and is cancelled with the second click", async () => {
    const reference = await beginSlowUnpack();
    await using tab = await people.open(api.token);
    await tab.goTo("/");
    await tab.page.getByRole("link", { name: reference }).click();
    await tab.page.locator("main svg.waterfall rect.stage.read.open").first().waitFor();
    await tab.page.evaluate("globalThis.isTheSame = true");
    const [before, readBefore] = [await downloadAt(tab), await bytesRead(tab)];
    await until(
      "the bar has moved",
      () => downloadAt(tab),
      (at) => at < before,
    );
    await until(
      "more is read",
      () => bytesRead(tab),
      (read) => read !== readBefore,
    );
    expect(await tab.page.evaluate<boolean>("globalThis.isTheSame")).toBe(true);
    expect(await tab.accessibilityFaults()).toEqual([]);
    for (const theme of ["light", "dark"] as const) {
      await tab.look({ theme, width: 390 });
      expect(await tab.overhang()).toBe(0);
    }

    await tab.page.getByRole("button", { name: "Cancel the unpack" }).click();
    await tab.page.getByText("Cancel the unpack: done").waitFor();
    await tab.page.locator("main dd .sign").getByText("cancelled").waitFor();
    expect(tab.clicks).toBe(2);
    expect(tab.troubles()).toEqual([]);
    const { body } = await api.pool("/unpacks?limit=1");
    expect(body.items).toMatchObject([{ image: reference, state: "cancelled" }]);
    await tab.page.getByRole("button", { name: "Retry the unpack" }).waitFor();
  });
});
