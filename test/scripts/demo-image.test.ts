import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildDemoImage, compareTree, type DemoImage } from "../../scripts/demo-image.ts";
import { formatPlatform, hostPlatform } from "../../src/images/platform.ts";
import { openImage } from "../../src/images/resolve.ts";
import { umociTree } from "../e2e/umoci-oracle.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { testWith } from "../support/tools.ts";
import { diffTrees } from "../support/trees.ts";

const timeoutMs = 120_000;

async function layersOf(image: DemoImage) {
  await using opened = await openImage(image.reference, formatPlatform(hostPlatform()));
  return opened.layers.map(({ digest, diffId, compression }) => ({ digest, diffId, compression }));
}

const count = (image: DemoImage, fact: string, value: string): number =>
  [...image.expected.values()].filter((facts) => facts[fact] === value).length;

test(
  "the demo image is the same every time, and has something of everything",
  async () => {
    await using directory = await temporaryDirectory();
    const first = await buildDemoImage(join(directory.path, "first"));
    const layers = await layersOf(first);
    expect(layers.map(({ compression }) => compression)).toEqual(["gzip", "zstd", "gzip", "zstd", "none", "gzip"]);
    await rename(join(directory.path, "first"), join(directory.path, "gone"));
    const second = await buildDemoImage(join(directory.path, "first"));
    expect(await layersOf(second)).toEqual(layers);
    expect(diffTrees(first.expected, second.expected)).toEqual([]);
    expect(first.expected.size).toBeGreaterThan(1000);
    expect(first.tarBytes).toBeGreaterThan(10 << 20);
    for (const type of ["file", "directory", "symlink", "character", "block", "fifo"]) {
      expect(count(first, "type", type)).toBeGreaterThan(0);
    }
    for (const mode of ["4755", "2755", "1777"]) expect(count(first, "mode", mode)).toBeGreaterThan(0);
    expect([...first.expected.values()].filter((facts) => facts["linkedWith"] !== undefined).length).toBeGreaterThan(1);
    expect(first.expected.get("opt/demo/releases/2/through-a-link.txt")?.["type"]).toBe("file");
    expect(first.expected.get("opt/demo/becomes-a-file")?.["type"]).toBe("file");
    expect(first.expected.has("opt/demo/data/empty")).toBe(false);
    expect([...first.expected.keys()].filter((path) => /(^|\/)\.wh\.|shadow|ssh_host|\.pem$/.test(path))).toEqual([]);
  },
  timeoutMs,
);

test("building the demo image stops when it is cancelled", async () => {
  await using directory = await temporaryDirectory();
  const reason = new Error("enough");
  const building = buildDemoImage(join(directory.path, "image"), { signal: AbortSignal.abort(reason) });
  expect(await building.catch((thrown: unknown) => thrown)).toBe(reason);
});

testWith(
  ["umoci"],
  "umoci unpacks of the demo image exactly what it is expected to contain",
  async () => {
    await using directory = await temporaryDirectory();
    const layout = join(directory.path, "image");
    const { expected } = await buildDemoImage(layout, { form: "gzip-members" });
    expect(
      diffTrees(expected, await umociTree(layout, "demo")).filter((line) => !line.startsWith('"/": mtimeNs')),
    ).toEqual([]);
  },
  timeoutMs,
);

test("a difference between a directory and its expected content is shown by path and fact", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "changed"), "new");
  await writeFile(join(directory.path, "added"), "");
  const sha256 = createHash("sha256").update("old").digest("hex");
  const anyOther = { mode: "anything", owner: "anything", mtimeNs: "anything" };
  const expected = new Map([
    ["", { type: "directory", ...anyOther }],
    ["changed", { type: "file", size: "3", sha256, ...anyOther }],
    ["lost", { type: "fifo", ...anyOther }],
  ]);
  const differences = compareTree(directory.path, expected);
  expect(differences.map((line) => line.replace(/ is [0-9a-f]{64}.*/, ""))).toEqual([
    '"/added": unexpected file',
    '"/changed": sha256',
    '"/lost": missing',
  ]);
});
