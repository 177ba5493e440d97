// The page of a pool: its history with what was done, its space by image, and what can be done to it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { largerSizes } from "../../../src/api/http/pages/pool-actions.tsx";
import { areasOf } from "../../../src/api/http/pages/pool-treemap.tsx";
import type { View } from "../../../src/api/http/pages/view.ts";
import type { Output } from "../../../src/service/api.ts";
import { aBusyDay, writeHistory } from "../../support/made-history.ts";
import { writeSmallImage } from "../../support/small-image.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formWith, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(120_000);

describe("of a real up", () => {
  let api: RunningApi;
  const visitor = new Visitor(() => api.url);
  const visit = async (query = "") => (await visitor.visit(`/pools/default${query}`)).html;
  const audit = async () => (await api.ask("/v1/audit?limit=1")).body.items[0];
  const hold = async () => (await api.pool("/status")).body.metadata.hold;

  beforeAll(async () => {
    api = await RunningApi.start({}, ({ config }) => writeHistory(config, aBusyDay(Date.now())));
    const { reference } = await writeSmallImage(join(api.place.directory, "an-image"));
    expect((await api.place.run("unpack", reference)).exitCode).toBe(0);
    expect(await visitor.signIn(api.token)).toBe(303);
  });
  afterAll(async () => {
    await api[Symbol.asyncDispose]();
  });

  test("charts show the asked range, with a gap where nothing was recorded, and marks of what was done", async () => {
    const day = await visit();
    const fill = /aria-labelledby="fill-title".*?<\/svg>/s.exec(day)?.[0] ?? "";
    expect([...fill.matchAll(/<polyline class="line solid"/g)].length).toBeGreaterThanOrEqual(2);
    expect(textOf(day)).toContain("1 marks show what was done.");
    expect(textOf(day)).toMatch(/What was done The numbers are those in the charts\. \S+ \S+ UTC: unpack oci:/);
    for (const id of ["fill", "throughput", "work", "failures"]) {
      expect(day).toContain(`role="img" aria-labelledby="${id}-title" aria-describedby="${id}-desc"`);
    }
    const rowsIn = (html: string) =>
      /<caption>Fill, % in use<\/caption>.*?<\/table>/s.exec(html)?.[0].split("<tr>").length ?? 0;
    expect(rowsIn(day)).toBeGreaterThan(80);
    expect(rowsIn(day)).toBeLessThan(100);
    expect(rowsIn(await visit("?range=hour"))).toBeGreaterThan(50);
    expect(rowsIn(await visit("?range=quarter"))).toBeLessThan(10);
    expect(await visit("?range=nonsense")).toContain('<a href="/pools/default?range=day" aria-current="true">');
  });

  test("the treemap has the image with its link, in the picture and in the table", async () => {
    const html = await visit();
    expect(html).toMatch(/<title>oci:[^<]*an-image[^<]*\(linux\/amd64\): [^<]*iB<\/title>/);
    expect(html).toMatch(/<a href="\/pools\/default\/image\?digest=sha256%3A/);
  });

  test("pause, resume and drain ask for a reason, which the hold and the audit log keep", async () => {
    const paused = await visitor.submit(formWith(await visit(), "Pause unpacks"), { reason: "slow registry" });
    expect(textOf(paused.html)).toContain("Pause unpacks: done");
    expect(textOf(paused.html)).toContain("State ! paused : unpacks are paused since");
    expect(await hold()).toMatchObject({ kind: "paused", heldBy: "token dashboard", reason: "slow registry" });
    expect(await audit()).toMatchObject({ operation: "holdQueue", reason: "slow registry", token: "dashboard" });
    const drained = await visitor.submit(formWith(paused.html, "Drain"), { reason: "new kernel" });
    expect(await hold()).toMatchObject({ kind: "drained", reason: "new kernel" });
    expect(() => formWith(drained.html, "Pause unpacks")).toThrow("no button");
    const resumed = await visitor.submit(formWith(drained.html, "Resume unpacks"), { reason: "done" });
    expect(textOf(resumed.html)).toContain("State ✓ in service");
    expect(await hold()).toBeNull();
  });

  test.each([
    ["Run doctor", "doctor"],
    ["Repair", "doctor"],
    ["Clean up", "cleanup"],
  ])("%s does what it says", async (label, operation) => {
    const { html } = await visitor.submit(formWith(await visit(), label), { reason: "a look" });
    expect(textOf(html)).toContain(`${label}: done`);
    expect(await audit()).toMatchObject({ operation, reason: "a look", code: "ok" });
  });

  test("what changes something does not without a reason", async () => {
    const { action, fields } = formWith(await visit(), "Drain");
    const answer = await visitor.post(action, { ...fields, reason: "" });
    expect([answer.status, await hold()]).toEqual([400, null]);
  });

  test("every button has its command, and a pool in files of its own is not offered growth", async () => {
    const text = textOf(await visit());
    for (const command of ["queues pause --reason", "drain --reason", "doctor", "doctor --repair", "cleanup"]) {
      expect(text).toContain(`At a terminal: snapmill ${command}`);
    }
    expect(text).not.toContain("pool grow");
  });
});

describe("the areas of the space", () => {
  const view = { poolPath: (rest: string, query: Record<string, string>) => `/${rest}?${query["key"] ?? ""}` } as View;
  const nothing = { sharedBytes: 0, otherBytes: 0, unclaimedBytes: 0, removalBytes: 0, restBytes: null };
  const image = (index: number, exclusiveBytes: number): Output<"space">["images"][number] => ({
    names: [`docker.io/shop/web:${index}`, `docker.io/shop/web:also-${index}`],
    manifestDigest: `sha256:${"a".repeat(64)}`,
    platform: "linux/amd64",
    snapshot: "top",
    exclusiveBytes,
  });
  const told = (given: Partial<Output<"space">>) =>
    areasOf(view, { usedBytes: null, totalBytes: null, images: [], ...nothing, ...given }).map(
      ({ kind, shortName, size }) => [kind, shortName, size],
    );

  test("are what has a size, each of its kind", () => {
    expect(told({})).toEqual([]);
    expect(
      told({
        images: [image(1, 5), image(2, 0)],
        sharedBytes: 7,
        unclaimedBytes: 3,
        removalBytes: 2,
        otherBytes: 1,
        restBytes: 9,
      }),
    ).toEqual([
      ["plain", "web:1", 5],
      ["hatched", "Shared", 7],
      ["dotted", "Unclaimed", 3],
      ["dotted", "being removed", 2],
      ["crossed", "Other snapshots", 1],
      ["crossed", "Writable snapshots and templates", 9],
    ]);
  });

  test("of a thousand images are the largest, and the others together", () => {
    const images = Array.from({ length: 1_000 }, (_, index) => image(index, 2_000 - index));
    const areas = told({ images });
    expect(areas).toHaveLength(61);
    expect(areas.at(-1)).toEqual([
      "plain",
      "940 other images",
      images.slice(60).reduce((sum, each) => sum + each.exclusiveBytes, 0),
    ]);
  });
});

test("sizes to grow to are larger than what there is, each once", () => {
  const gibibyte = 2 ** 30;
  expect(largerSizes(20 * gibibyte, gibibyte, [1.25, 1.5, 2]).map((size) => size / gibibyte)).toEqual([25, 30, 40]);
  expect(largerSizes(0.9 * gibibyte, gibibyte, [1.25, 1.5, 2]).map((size) => size / gibibyte)).toEqual([2]);
  expect(largerSizes(gibibyte, gibibyte, [1.25]).map((size) => size / gibibyte)).toEqual([2]);
});
