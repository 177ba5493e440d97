// Owns the life of images on the command line, with the real program and a running `up`: listed, pinned, pruned, removed.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { randomFillSync } from "node:crypto";
import { join } from "node:path";
import { writeImage } from "../support/images.ts";
import { file } from "../support/tar-entries.ts";
import { until } from "../support/until.ts";
import { CliFixture } from "./cli-fixture.ts";

setDefaultTimeout(60_000);

const mebibyte = 2 ** 20;
const fixture = new CliFixture({ SNAPMILL_POOL_SIZE: "1GiB", SNAPMILL_DEVICE_SIZE: "128MiB" });
const directory = (name: string) => join(fixture.snapmill.directory, name);
const base = { content: [file("base", randomFillSync(Buffer.alloc(8 * mebibyte)))], form: "none" as const };
const references: Record<string, string> = {};
const reference = (name: string) => references[name] ?? "";

beforeAll(async () => {
  await fixture.up();
  for (const name of ["a", "b", "c"]) {
    const own = { content: [file(name, randomFillSync(Buffer.alloc(24 * mebibyte)))], form: "none" as const };
    references[name] = (await writeImage(directory(name), [base, own])).reference;
  }
  await fixture.stdout("unpack", "--concurrency", "1", reference("a"), reference("b"), reference("c"));
});
afterAll(() => fixture[Symbol.asyncDispose]());

const listed = () => fixture.json("images");
const names = async () => (await listed()).map(({ image }) => image);
const space = async () => {
  const found = (await fixture.json("status"))[0]?.metadata?.space;
  return found ?? { usedBytes: Number.NaN, totalBytes: Number.NaN };
};
const prune = async (...rules: readonly string[]) =>
  JSON.parse(await fixture.stdout("images", "prune", ...rules, "--json")) as Record<"images" | "layers", unknown[]>;
const isNoneRemoved = async () => (await fixture.json("status"))[0]?.metadata?.["pendingRemovals"] === 0;

test("images says what each holds for itself and with others, under each of its names", async () => {
  const again = reference("a").replace(/:[^:]*$/, ":@0");
  await fixture.stdout("unpack", again);
  const images = await listed();
  expect(images.map(({ image }) => image)).toEqual([again, ...Object.values(references)].toSorted());
  for (const { exclusiveBytes, sharedBytes, pinnedAtMs } of images) {
    expect(Math.round(Number(exclusiveBytes) / mebibyte)).toBe(24);
    expect(Math.round(Number(sharedBytes) / mebibyte)).toBeGreaterThanOrEqual(8);
    expect(pinnedAtMs).toBeUndefined();
  }
  const table = await fixture.stdout("images");
  expect(table).toMatch(/^IMAGE +DIGEST +PLATFORM +SNAPSHOT +LAYERS +SIZE +EXCLUSIVE +SHARED +REQUESTED +PINNED\n/);
  const removed = await fixture.stdout("images", "rm", again);
  expect(removed).toMatch(/^removed the name oci:.*:@0 \(.*\)\nremoved 0 layers, about 0 B\n$/);
  expect(await names()).toEqual(Object.values(references));
});

test("a pinned image is not removed by anything, and each says the way out", async () => {
  await fixture.stdout("images", "pin", reference("a"));
  const [a] = await listed();
  expect(await fixture.stdout("images")).toMatch(/ pinned$/m);
  const { exitCode, stderr } = await fixture.run("images", "rm", String(a?.["manifestDigest"]).slice(0, 19));
  expect([exitCode, stderr]).toEqual([
    1,
    expect.stringMatching(/^snapmill: image .* is pinned: 'snapmill images unpin'/),
  ]);
  expect(await fixture.failure(1, "rm", a?.snapshot ?? "")).toContain("which is pinned: 'snapmill images unpin");
  expect(await fixture.failure(1, "pool", "reset", "--yes")).toContain("unpin");
  await fixture.stdout("images", "prune", "--keep", "0");
  expect(await names()).toEqual([reference("a")]);
  await fixture.stdout("images", "unpin", reference("a"));
  await fixture.stdout("unpack", "--concurrency", "1", reference("b"), reference("c"));
});

test("prune removes what was not asked for lately, as it foretells, and no more than it takes", async () => {
  expect(await fixture.stdout("images", "prune")).toBe("removed 0 images and 0 layers, about 0 B\n");
  expect(await fixture.stdout("images", "prune", "--older-than", "1h")).toStartWith("removed 0 images");
  const foretold = await prune("--keep", "1", "--dry-run");
  expect(foretold.images).toMatchObject([{ references: [reference("a")] }, { references: [reference("b")] }]);
  expect(foretold.layers).toHaveLength(2);
  expect(await names()).toHaveLength(3);
  await until("no removal is pending", isNoneRemoved);
  const { usedBytes, totalBytes } = await space();
  const share = `${(((totalBytes - usedBytes + 16 * mebibyte) / totalBytes) * 100).toFixed(3)}%`;
  for (const options of [["--dry-run"], []]) {
    const { images } = await prune("--until-free", share, ...options);
    expect(images).toMatchObject([{ references: [reference("a")] }]);
  }
  expect(await names()).toEqual([reference("b"), reference("c")]);
  expect(await fixture.stdout("images", "prune", "--until-free", share)).toContain("removed 0 images");
});

test("images that are meant by nothing, by too little or by too much are refused", async () => {
  expect(await fixture.failure(1, "images", "rm", "never/was:1", reference("b"))).toContain(
    "there is no image docker://docker.io/never/was:1",
  );
  expect(await fixture.failure(2, "images", "pin", "sha256:ab")).toContain("at least 12");
  expect(await fixture.failure(1, "images", "unpin", reference("b"), "--platform", "linux/s390x")).toContain(
    "for linux/s390x",
  );
  expect(await fixture.failure(2, "images", "prune", "--until-free", "100%")).toContain("from 1% to 99%");
  expect(await fixture.failure(2, "images", "prune", "--older-than", "soon")).toContain("30d");
});

test("an image that is mounted is removed with its mount, and removing all leaves nothing", async () => {
  const [b] = await listed();
  await fixture.stdout("prepare", "work", b?.snapshot ?? "");
  const { exitCode, stdout, stderr } = await fixture.run("images", "rm", reference("b"), reference("c"));
  expect([exitCode, stderr]).toEqual([
    0,
    expect.stringContaining('is removed, but all its layers are still used by snapshot "work"'),
  ]);
  expect(stdout).toMatch(/removed 1 layer, about 2\d\.\d MiB\n$/);
  expect(await names()).toEqual([null]);
  await fixture.stdout("rm", "work");
  await fixture.stdout("cleanup");
  expect(await fixture.json("ls")).toEqual([]);
  expect(await listed()).toEqual([]);
  await until("no removal is pending", isNoneRemoved);
  const [status] = await fixture.json("status");
  expect(status?.metadata?.["devices"]).toEqual({ deactivated: 1 });
});
