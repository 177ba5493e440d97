// Room: test. Owns the walk through a bad night in docs/OPERATIONS.md, on one real `up`: each verdict is what the page showed,
// and what mends it was pressed with two clicks from opening the page, or needed no click.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { HeldRemoval, removalsIn } from "../api/v1/held-removal.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import type { Tab } from "../support/browser/tab.ts";
import { filling } from "../support/filling.ts";
import { pushImage, pushLargeLayer } from "../support/many-images.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { Registry } from "../support/registry.ts";
import { SlowMkfs } from "../support/slow-mkfs.ts";
import { describeWith } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { SignedIn } from "./signed-in.ts";

setDefaultTimeout(180_000);

const withinMs = 90_000;
const resources = new AsyncDisposableStack();
let api: RunningApi;
let registry: Registry;
let redis: TestRedis;
let mkfs: SlowMkfs;
let people: SignedIn;
let chapters: ReadonlyMap<string, string>;

beforeAll(async () => {
  if (Bun.which(chromiumProgram) === null) return;
  chapters = await chaptersOf("A bad night");
  redis = resources.use(await startRedis());
  mkfs = resources.use(new SlowMkfs());
  api = resources.use(
    await RunningApi.start({
      REDIS_URL: redis.url,
      PATH: mkfs.path,
      SNAPMILL_POOL_SIZE: "512MiB",
      SNAPMILL_DEVICE_SIZE: "512MiB",
      SNAPMILL_ASYNC_REMOVE: "true",
      SNAPMILL_REMOVE_ATTEMPTS: "2",
      SNAPMILL_REMOVE_FIRST_PAUSE: "100ms",
    }),
  );
  registry = resources.use(await Registry.start(join(api.place.directory, "registry")));
  people = new SignedIn(resources.use(await Chromium.start()), api.url);
});
afterAll(async () => await resources.disposeAsync());

/** By its heading: the verdict that the document says was shown. */
async function chaptersOf(section: string): Promise<ReadonlyMap<string, string>> {
  const text = await Bun.file(join(import.meta.dir, "../../docs/OPERATIONS.md")).text();
  const body = text.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  const found = body.split(/^### /m).slice(1);
  return new Map(
    found.map((chapter) => {
      const lines = chapter.split("\n");
      const shown = lines.filter((line) => line.startsWith("> ")).map((line) => line.slice(2));
      return [(lines[0] ?? "").replace(/^\d\d:\d\d /, ""), shown.join(" ")];
    }),
  );
}

/** Without what differs from night to night: numbers, and since when it is so. */
const shape = (text: string): string =>
  text
    .replaceAll(/ At a terminal: .*/g, "")
    .replaceAll(/ Since [\d: -]+UTC, for [^.]*\./g, "")
    .replaceAll(/ And \d+ more[^.]*\./g, "")
    .replaceAll(redis.url.slice("unix://".length), "/run/redis/redis.sock")
    .replaceAll(/\d[\d.]*/g, "0")
    .replaceAll(/\s+/g, " ")
    .trim();

/** In one look: the page may change between two. */
const verdictOn = ({ page }: Tab) =>
  page.evaluate<string>(
    "[...document.querySelectorAll('[aria-label=Verdict] > p')].map((each) => each.textContent).join(' ')",
  );

/** The open page says it by itself; it is what the document says. */
async function untilShown(tab: Tab, chapter: string, sentence: RegExp): Promise<void> {
  const shown = await until(
    `the verdict matches ${sentence.source}`,
    () => verdictOn(tab),
    (text) => sentence.test(text),
    withinMs,
  );
  expect(shape(chapters.get(chapter) ?? "there is no such chapter")).toBe(shape(shown));
  expect(tab.troubles()).toEqual([]);
}

const untilGone = (tab: Tab, sentence: RegExp) =>
  until(
    `the verdict no longer matches ${sentence.source}`,
    () => verdictOn(tab),
    (text) => text !== "" && !sentence.test(text),
    withinMs,
  );

/** Unfolds the verdict's button and presses it: the second click since the page was opened. */
async function press(tab: Tab, chapter: string, label: string): Promise<void> {
  const verdict = tab.page.getByLabel("Verdict");
  await verdict.locator("summary", { hasText: label }).click();
  const command = /At a terminal: (.*)/.exec(chapters.get(chapter) ?? "")?.[1] ?? "no command";
  await verdict.locator("code").getByText(command, { exact: true }).waitFor();
  await verdict.getByRole("button", { name: label }).click();
  expect(tab.clicks).toBe(2);
}

const open = async (): Promise<Tab> => {
  const tab = await people.open(api.token);
  expect(await tab.goTo("/")).toBe(200);
  return tab;
};
const make = (key: string, labels = {}) => api.pool(`/snapshots/${key}/prepare`, { method: "POST", body: { labels } });
const signal = (program: string, name: NodeJS.Signals) => {
  for (const pid of api.place.pidsOf(program)) process.kill(pid, name);
};
const now = async () => (await api.pool("/now")).body;
const images = async () => (await api.pool("/images")).body.map(({ image }: { image: string }) => image);

describeWith([chromiumProgram], "in a bad night,", () => {
  test("a full pool is told, and emptied of an image that nobody needs", async () => {
    const shop = { host: registry.host, name: "shop/web" };
    const old = await pushImage(shop, "1.4", [await pushLargeLayer(shop, 150)]);
    expect(await api.place.run("unpack", "--plain-http", old)).toMatchObject({ exitCode: 0 });
    await make("access-log");
    await filling(api, "access-log", 0.993);
    await using tab = await open();
    await untilShown(tab, "The pool is full", /pool default is full/i);
    await press(tab, "The pool is full", "Remove unused images until 20 % is free");
    await untilGone(tab, /is full|nearly full/);
    expect(await images()).toEqual([]);
    expect((await make("web-1")).status).toBe(200);
  });

  test("a stuck removal is told with who holds its device, and tried again when that has ended", async () => {
    const held = await HeldRemoval.start(api, "db-7", "backup of db-7");
    try {
      await using tab = await open();
      await untilShown(tab, "A removal is stuck", /removal given up/);
      expect(await verdictOn(tab)).toContain(`process ${held.pid}`);
      await held.end();
      await press(tab, "A removal is stuck", "Try them again");
      await untilGone(tab, /given up/);
      await until(
        "the device is gone",
        () => removalsIn(api),
        (all) => all.length === 0,
        withinMs,
      );
    } finally {
      await held.end();
    }
  });

  test("an operation that kills its worker is set aside, and allowed again when the cause is mended", async () => {
    mkfs.hold();
    const size = { "containerd.io/snapshot/max-size": "96MiB" };
    const asked = make("db-8", size);
    for (const _death of [1, 2]) {
      await mkfs.untilStarted();
      mkfs.hold();
      signal("workers/pool.ts", "SIGKILL");
    }
    expect((await asked).status).toBe(503);
    await using tab = await open();
    await untilShown(tab, "The worker dies", /set aside/);
    mkfs.release();
    await press(tab, "The worker dies", "Allow what was set aside");
    await untilGone(tab, /set aside/);
    // 409: the first request, which was still in the queue, has made it.
    const again = await until(
      "the caller gets an answer",
      () => make("db-8", size),
      ({ status }) => status !== 503,
      withinMs,
    );
    expect([200, 409]).toContain(again.status);
    expect((await api.pool("/snapshots/db-8")).status).toBe(200);
  });

  test("a lost Redis is told, and what was accepted goes on when another one has taken its place", async () => {
    const shop = { host: registry.host, name: "shop/web" };
    const next = await pushImage(shop, "1.5", [await pushLargeLayer(shop, 60)]);
    // So that it is in the middle of its layer when Redis goes.
    signal("workers/writer.ts", "SIGSTOP");
    const accepted = await api.pool("/images/unpack", {
      method: "POST",
      headers: { prefer: "respond-async" },
      body: { reference: next, registry: { plainHttp: true } },
    });
    expect(accepted.status).toBe(202);
    await until("it is being unpacked", now, ({ unpacks }) => unpacks?.length === 1, withinMs);
    await redis.kill();
    signal("workers/writer.ts", "SIGCONT");
    await using tab = await open();
    await untilShown(tab, "Redis is lost", /the queue is away/i);
    expect((await make("web-2")).status).toBe(503);
    expect(await images()).toEqual([]);
    await redis.start();
    await redis.flush();
    await untilGone(tab, /the queue is away/i);
    await until("the image is there", images, (all) => all.some((image: string) => image.endsWith(next)), withinMs);
    expect(tab.clicks).toBe(0);
    expect(tab.troubles()).toEqual([]);
  });
});
