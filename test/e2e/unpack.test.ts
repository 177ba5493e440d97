// Tests concurrent unpacks of one image, bad and oversized images, and interruptions.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Redis } from "ioredis";
import { paths, redisUrl } from "../../src/config.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { pendingOutbox } from "../../src/metadata/outbox.ts";
import { CliFixture } from "../cli/cli-fixture.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeImage } from "../support/images.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { directory, file, hardLink, symlink, whiteout } from "../support/tar-entries.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { describeTree, diffTrees } from "../support/trees.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const images = await temporaryDirectory();
afterAll(() => images[Symbol.asyncDispose]());
const small = await writeSmallImage(join(images.path, "small"));
const layerOf = (name: string, lengthBytes: number) => [file(name, Buffer.alloc(lengthBytes, name))];

/** `count` layers that take long enough to be interrupted. */
const slow = await writeImage(
  join(images.path, "slow"),
  Array.from({ length: 12 }, (_, index) => ({ content: layerOf(`slow-${index}`, 4 << 20), form: "none" as const })),
);

describe("bad images", () => {
  test("a damaged layer fails its image, by name, and the others go on; nothing of it is left", async () => {
    using snapmill = new TestSnapmill();
    const bad = await writeImage(join(images.path, "flipped"), [
      { content: layerOf("below", 10_000) },
      {
        content: layerOf("flipped", 300_000),
        form: "none",
        damage: (blob) => Buffer.from(blob).fill(0, 200_000, 200_001),
      },
    ]);
    const { exitCode, stdout, stderr } = await snapmill.run(["unpack", "--json", bad.reference, small.reference]);
    expect(exitCode).toBe(1);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).image),
    ).toEqual([small.reference]);
    expect(stderr).toContain(bad.reference);
    expect(stderr).toContain(`layer 2 of 2 (${bad.layers[1]?.digest ?? "there is none"})`);
    expect(stderr).toContain("digest");
    expect(snapmill.residue()).toEqual([]);
  });

  test("a layer that leads out of the root stays inside or fails, and touches nothing outside", async () => {
    using snapmill = new TestSnapmill();
    const outside = join(snapmill.directory, "outside");
    const hostile = await writeImage(join(images.path, "hostile"), [
      { content: [file(`../../../../../../..${outside}`, "escaped"), file("kept", "inside")] },
    ]);
    await snapmill.run(["unpack", hostile.reference]);
    expect(await Bun.file(outside).exists()).toBe(false);
    const deep = Array.from({ length: 300 }, () => "d").join("/");
    const links = await writeImage(join(images.path, "links"), [
      { content: [file(`${deep}/t`, "target", { uid: -2 }), symlink("s", "d"), directory("p")] },
      { content: [hardLink("p/h", `s${deep.slice(1)}/t`), whiteout(`s${deep.slice(1)}/t`)] },
    ]);
    const { snapshot } = await snapmill.unpack(links.reference);
    const found = await snapmill.inspect(snapshot, (root) => [...describeTree(root)].filter(([, { size }]) => size));
    expect(found).toMatchObject([["p/h", { size: "6", owner: "4294967294:0" }]]);
    expect(snapmill.residue()).toEqual([]);
  });

  test("a layer that does not fit its device is refused as resource_exhausted, and leaves nothing", async () => {
    using snapmill = new TestSnapmill({ SNAPMILL_DEVICE_SIZE: "32MiB" });
    const big = await writeImage(join(images.path, "big"), [{ content: layerOf("big", 64 << 20), form: "zstd" }]);
    const { exitCode, stderr } = await snapmill.run(["unpack", big.reference]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/layer 1 of 1 .*does not fit on its device, which is full/);
    const files = Array.from({ length: 9000 }, (_, index) => file(`d${index % 50}/f${index}`));
    const many = await writeImage(join(images.path, "many"), [{ content: files }]);
    const refused = await snapmill.run(["unpack", many.reference]);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(/layer 1 of 1 .*all 8192 inodes of its file system are used/);
    expect(refused.stderr).toContain("SNAPMILL_DEVICE_SIZE");
    expect(snapmill.residue()).toEqual([]);
  });

  test("a layer that does not fit the pool is never committed, and gives back what it used", async () => {
    using snapmill = new TestSnapmill({ SNAPMILL_POOL_SIZE: "400MiB", SNAPMILL_DEVICE_SIZE: "1GiB" });
    const huge = await writeImage(join(images.path, "huge"), [{ content: layerOf("huge", 420 << 20), form: "zstd" }]);
    const { exitCode, stderr } = await snapmill.run(["unpack", huge.reference]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/layer 1 of 1 .*the pool .* free, less than .* must stay free: make room/);
    expect(snapmill.residue()).toEqual([]);
    // There is space again for an image that fits.
    const image = await snapmill.unpack(small.reference);
    const differences = await snapmill.inspect(image.snapshot, (root) => diffTrees(small.expected, describeTree(root)));
    expect(differences).toEqual([]);
  });
});

describe("many at once", () => {
  test("each layer is unpacked once however many ask for it", async () => {
    await using fixture = new CliFixture({ SNAPMILL_UNPACK_WORKERS: "3" });
    await fixture.up();
    const { config } = fixture.snapmill;
    await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
    const request = { reference: small.reference, platform: "linux/amd64" };
    const asked = await Promise.all(Array.from({ length: 12 }, () => client.unpack(request)));
    expect(new Set(asked.map(({ chainId }) => chainId)).size).toBe(1);
    const layers = asked.flatMap((image) => image.layers);
    expect(layers.filter(({ cached }) => !cached)).toHaveLength(3);
    expect(layers.filter(({ cached }) => cached)).toHaveLength(33);
  });

  test("Redis emptied in the middle loses no accepted unpack", async () => {
    // The workers report each job that Redis has lost.
    await using fixture = new CliFixture({ SNAPMILL_LOG_LEVEL: "silent" });
    await fixture.up();
    const { config } = fixture.snapmill;
    await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
    const references = [slow.reference, small.reference];
    // The pool's worker answers: from here on there is a database.
    await client.call("cleanup", {});
    const unpacked = Promise.allSettled(
      references.map((reference) => client.unpack({ reference, platform: "linux/amd64" })),
    );
    using database = openDatabase(paths.database(config), { mode: "readonly" });
    await until(
      "both are accepted",
      () => pendingOutbox(database),
      ({ length }) => length === 2,
    );
    const redis = new Redis({ path: paths.redisSocket(config) });
    await redis.flushall();
    redis.disconnect();
    const ended = (await unpacked).map((one) => (one.status === "fulfilled" ? one.value.image : one.reason));
    expect(ended).toEqual(references);
  });
});

describe("interrupted", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends an unpack on services of its own, and leaves nothing", async (signal, status) => {
    using snapmill = new TestSnapmill();
    const started = snapmill.start(["unpack", slow.reference]);
    await until("it is at layer 2", started.said, (text) => text.includes("layer 2 of 12"));
    started.kill(signal);
    const { exitCode } = await started.finished;
    expect(exitCode).toBe(status);
    expect(snapmill.residue()).toEqual([]);
  });
});

test("what a killed unpack had been promised is finished by the next command", async () => {
  using snapmill = new TestSnapmill();
  const started = snapmill.start(["unpack", slow.reference]);
  await until("it is at layer 2", started.said, (text) => text.includes("layer 2 of 12"));
  started.kill("SIGKILL");
  await started.finished;
  await snapmill.unpack(small.reference);
  const { stdout } = await snapmill.run(["images", "--json"]);
  expect(stdout).toContain(slow.reference);
  expect(snapmill.residue()).toEqual([]);
});
