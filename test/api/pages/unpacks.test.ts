// Unpacks, one unpack and one image on a real `up`: what their pages show, and what their buttons do.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { paths } from "../../../src/config.ts";
import { type ChainId, diffId } from "../../../src/domain/identifiers.ts";
import { acquireLock } from "../../../src/system/file/locks.ts";
import { chainIdsOf } from "../../../src/unpack/chain.ts";
import { lockPath } from "../../../src/unpack/layer-turns.ts";
import { writeImage, writeLayout } from "../../support/images.ts";
import { file } from "../../support/tar-entries.ts";
import { until } from "../../support/until.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formWith, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
const visitor = new Visitor(() => api.url);
const list = "/pools/default/unpacks";
const pageOf = (id: string) => `${list}/${id}`;
const textAt = async (address: string) => textOf((await visitor.visit(address)).html);
const shared = { content: [file("one", "1".repeat(100_000))] };

beforeAll(async () => {
  api = await RunningApi.start();
  expect(await visitor.signIn(api.token)).toBe(303);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** Answers its operation ID, as soon as it is accepted. */
async function begin(body: object): Promise<string> {
  const headers = { prefer: "respond-async" };
  return (await api.pool("/images/unpack", { method: "POST", headers, body })).body.operationId;
}

/** The same when it has ended. */
async function unpack(body: object): Promise<string> {
  const id = await begin(body);
  const state = async () => (await api.ask(`/v1/operations/${id}`)).body.state;
  await until("it has ended", state, (found) => found !== "running");
  return id;
}
const layout = (name: string, content: Parameters<typeof writeImage>[1]) =>
  writeImage(join(api.place.directory, name), content);

test("an unpack that runs shows its layers live, and is cancelled with one button", async () => {
  const image = await layout("held", [shared, { content: [file("two", "2")] }]);
  const [, second] = chainIdsOf(image.layers.map((layer) => ({ diffId: diffId(layer.diffId) })));
  using _barrier = await acquireLock(lockPath(paths.chainLocks(api.place.config), second as ChainId));
  const id = await begin({ reference: image.reference });
  const row = () => textAt(`${list}?state=running`);
  expect(await until("its second layer waits", row, (text) => text.includes("1 of 2"))).toMatch(
    /oci:.*held:test … running 1 of 2 [\d.]+ \w+ of [\d.]+ \w+ /,
  );

  const { html } = await until(
    "its page shows the wait",
    () => visitor.visit(pageOf(id)),
    (page) => page.html.includes("<title>wait: under way"),
  );
  expect(html).toContain('data-follows="seconds"');
  expect(html).toMatch(/<svg class="chart waterfall"[^>]* role="img" aria-labelledby="layers-title"/);
  expect(textOf(/<desc.*?<\/desc>/s.exec(html)?.[0] ?? "")).toMatch(/2 layers in .*: 1 unpacked, 1 waiting\./);
  expect(html).toMatch(/<title>wait: under way since [\d.]+ m?s<\/title><rect class="stage idle open"/);
  expect(textOf(html)).toMatch(/2: sha256:[0-9a-f]{12} – waiting 0 B of \d+ B under way at [\d.]+ m?s –/);
  expect(textOf(html)).toContain(`At a terminal: snapmill unpacks cancel ${id}`);
  expect((await api.place.run("unpacks")).stdout).toMatch(new RegExp(`^${id} +oci:.*held:test +running +1/2 `, "m"));

  const cancelled = await visitor.submit(formWith(html, "Cancel the unpack"), { reason: "wrong image" });
  expect(textOf(cancelled.html)).toContain("Cancel the unpack: done");
  const after = await until(
    "it is cancelled",
    () => textAt(pageOf(id)),
    (text) => text.includes("– cancelled"),
  );
  expect(after).not.toContain("Cancel the unpack At a terminal");
  const { body } = await api.ask("/v1/audit?operation=cancelUnpack");
  expect(body.items).toMatchObject([{ token: "dashboard", reason: "wrong image", code: "ok", pool: "default" }]);
});

test("a command cancels an unpack, and refuses one that has ended", async () => {
  const image = await layout("held-again", [{ content: [file("three", "3")] }]);
  const [first] = chainIdsOf(image.layers.map((layer) => ({ diffId: diffId(layer.diffId) })));
  using _barrier = await acquireLock(lockPath(paths.chainLocks(api.place.config), first as ChainId));
  const id = await begin({ reference: image.reference });
  await until(
    "it runs",
    () => textAt(pageOf(id)),
    (text) => text.includes("… running"),
  );
  const cancel = () => api.place.run("unpacks", "cancel", id);
  expect((await cancel()).stdout).toBe(`cancelled the unpack ${id}\n`);
  await until(
    "it is cancelled",
    () => textAt(pageOf(id)),
    (text) => text.includes("– cancelled"),
  );
  const again = await cancel();
  expect(again.exitCode).not.toBe(0);
  expect(again.stderr).toContain(`unpack ${id} has ended (cancelled): there is nothing to cancel`);
});

test("one that has failed says why, and is retried as it was asked for: with the registry's options", async () => {
  const asked: string[] = [];
  // Answers over plain HTTP alone.
  await using registry = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => {
      asked.push(url);
      return new Response(null, { status: 404 });
    },
  });
  const reference = `docker://${registry.url.host}/shop/none:1`;
  const id = await unpack({ reference, registry: { plainHttp: true, group: "several" } });
  const { html } = await visitor.visit(pageOf(id));
  expect(textOf(html)).toMatch(/State ✗ failed Failure ✗ not_found : /);
  expect(textOf(html)).toContain("Its image was not found.");
  expect(textOf(html)).toMatch(/At a terminal: snapmill unpack --platform linux\/\w+ --plain-http docker:\/\/127/);
  const before = asked.length;
  expect(before).toBeGreaterThan(0);

  const retried = await visitor.submit(formWith(html, "Retry the unpack"));
  const [, next = ""] = /href="([^"]*)">the new unpack</.exec(retried.html) ?? [];
  expect(await textAt(next)).toMatch(/✗ failed Failure ✗ not_found/);
  expect(asked.length).toBeGreaterThan(before);
  expect((await api.pool(next.replace("/pools/default", ""))).body.registry).toEqual({ plainHttp: true });
});

test("the list is filtered by state and text, in the address", async () => {
  const count = async (query: string) =>
    [...(await visitor.visit(list + query)).html.matchAll(/<th scope="row">/g)].length;
  expect(await count("")).toBe(4);
  expect(await count("?state=failed")).toBe(2);
  expect(await textAt(`${list}?state=failed`)).toMatch(/shop\/none:1.*not_found/);
  expect(await count("?find=HELD-again")).toBe(1);
  expect(await textAt(`${list}?find=HELD-again`)).toContain("held-again:test");
  expect(await textAt(`${list}?find=no-such-image`)).toContain("No unpack is like this.");
});

test("an unpack that nobody has asked for is a page with the way out", async () => {
  const { status, html } = await visitor.visit(pageOf("op-00000000-0000-0000-0000-000000000000"));
  expect([status, textOf(html)]).toEqual([404, expect.stringContaining("there is no unpack op-00000000")]);
  expect((await visitor.visit(pageOf("x"))).status).toBe(400);
});

test("layers that the pool had are told with what they saved", async () => {
  const image = await layout("saving", [shared, { content: [file("four", "4")] }]);
  const id = await unpack({ reference: image.reference });
  const { html } = await visitor.visit(pageOf(id));
  expect(textOf(html)).toMatch(/✓ The pool had 1 of 2 layers: 1\.0 KiB were not fetched and not unpacked again\./);
  expect(textOf(html)).toMatch(/1: [0-9a-f]{12}, in the pool: saved 1\.0 KiB/);
  expect(html).toContain(
    `href="/pools/default/image?name=${encodeURIComponent(image.reference).replaceAll("%20", "+")}`,
  );
});

test("an image shows its names, layers and space; is pinned, unpinned, and removed name by name", async () => {
  const content = { layers: [shared, { content: [file("five", "5")] }] };
  const directory = join(api.place.directory, "named");
  await writeLayout(directory, [
    { tag: "a", image: content },
    { tag: "b", image: content },
  ]);
  for (const tag of ["a", "b"]) await unpack({ reference: `oci:${directory}:${tag}` });
  const address = `/pools/default/image?${new URLSearchParams({ name: `oci:${directory}:a` }).toString()}`;
  const page = async () => (await visitor.visit(address)).html;
  const first = textOf(await page());
  expect(first).toContain("named:a – snapmill");
  expect(first).toMatch(/Names oci:\S+named:a , last asked for .* UTC/);
  const [, digest = ""] = /Digest (sha256:[0-9a-f]{64})/.exec(first) ?? [];
  const byDigest = `/pools/default/image?digest=${digest}`;
  // What removes the image removes both names, whichever leads to it.
  for (const html of [first, textOf((await visitor.visit(byDigest)).html)]) {
    expect(html).toMatch(/named:a , last asked for .* UTC oci:\S+named:b , last asked for/);
  }
  expect(first).toMatch(/Mount it snapmill mount sha256:[0-9a-f]{64} DIRECTORY/);
  expect(first).toMatch(/1: sha256:\w+ \S+ \w+ \S+ KiB \S+ \w+ sha256:\w+ with \d other image/);
  expect(first).toMatch(/2: sha256:\w+ \S+ \w+ \S+ \w+ \S+ \w+ sha256:\w+ no/);

  const pinned = await visitor.submit(formWith((await visitor.visit(byDigest)).html, "Pin the image"));
  expect(textOf(pinned.html)).toMatch(/Pin the image: done .* ✓ since .* UTC: nothing removes it/);
  expect(() => formWith(pinned.html, "Remove the image")).toThrow("there is no button");
  const unpinned = await visitor.submit(formWith(pinned.html, "Unpin the image"));
  const byName = (await visitor.visit(address)).html;
  expect(textOf(unpinned.html)).toContain("Unpin the image: done");
  const one = await visitor.submit(formWith(byName, "Remove name 1"), { reason: "the old name" });
  expect([one.status, textOf(one.html)]).toEqual([200, expect.stringContaining("Remove name 1: done")]);
  expect(textOf(one.html)).not.toContain("named:a");
  expect((await visitor.visit(address)).status).toBe(404);
  const gone = await visitor.submit(formWith(one.html, "Remove the image"), { reason: "no longer needed" });
  expect([gone.status, textOf(gone.html)]).toEqual([200, expect.stringContaining("Remove the image: done")]);
  expect((await visitor.visit(byDigest)).status).toBe(404);
  const { body } = await api.pool("/images");
  expect(body.filter(({ manifestDigest }: { manifestDigest: string }) => manifestDigest === digest)).toEqual([]);
});
