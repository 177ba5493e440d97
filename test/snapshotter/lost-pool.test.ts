// Tests that a lost pool is not silently created again, and that a restored one works as before.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, rename, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { chainId, digest, freshOperationId, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { LostPool } from "../../src/drivers/port.ts";
import { listImages, recordImage } from "../../src/metadata/images.ts";
import { findLoops } from "../../src/system/block/attached-loops.ts";
import type { TestPool } from "../conformance/snapshotter-fixture.ts";
import { Client, openFixture } from "../conformance/snapshotter-fixture.ts";
import { poolInDirectory, poolInFile, type ReflinkTestPool } from "../drivers/reflink-test-pools.ts";

setDefaultTimeout(60_000);

let place: ReflinkTestPool;
let testPool: TestPool;
let files: string;
const image = () => join(place.options.poolDir, "pool.img");

async function use(given: ReflinkTestPool): Promise<void> {
  place = given;
  files = join(place.options.poolDir, "devices");
  testPool = { pool: place.pool, connectDriver: () => place.connect() };
  await using fixture = await openFixture(testPool, { directory: place.dir });
  await new Client(fixture, "loss").layer("kept", undefined);
}

afterEach(() => place[Symbol.asyncDispose]());

async function expectLost(saying: string): Promise<void> {
  const failure: unknown = await openFixture(testPool, { directory: place.dir }).then(
    () => "it was opened",
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(LostPool);
  const { code, message } = failure as LostPool;
  expect(code).toBe("failed_precondition");
  expect(message).toContain(saying);
  expect(message).toContain("'snapmill pool reset test --yes'");
  expect(await place.leftOnHost()).toEqual([]);
}

async function expectKept(): Promise<void> {
  await using fixture = await openFixture(testPool, { directory: place.dir });
  expect(fixture.recovered).toEqual([]);
  expect(await new Client(fixture, "loss").seen("kept", () => "seen")).toBe("seen");
}

/** Opens the pool without regard to the content of its database. */
async function withPool(change: () => Promise<void>): Promise<void> {
  const driver = place.connect();
  await driver.open();
  await change();
  await driver.close();
}

async function emptyDevices(): Promise<void> {
  for (const name of await readdir(files)) {
    const { size } = await stat(join(files, name));
    await truncate(join(files, name), 0);
    await truncate(join(files, name), size);
  }
}

describe("a pool in a file", () => {
  beforeEach(async () => use(await poolInFile()));

  test("that is not there is not made anew, and goes on when it is put back", async () => {
    await rename(image(), `${image()}.away`);
    await expectLost("pool.img is not there");
    expect(existsSync(image())).toBe(false);
    await rename(`${image()}.away`, image());
    await expectKept();
  });

  test("in whose place a new one lies is not taken for it, nor taken over", async () => {
    await rename(image(), `${image()}.away`);
    await withPool(async () => undefined);
    await expectLost("does not hold any of the 2 devices");
    await rename(`${image()}.away`, image());
    await expectKept();
  });

  test("whose devices were emptied is not taken for what it was", async () => {
    await withPool(emptyDevices);
    await expectLost("nothing of what was written to its devices is there (test-snap-2");
  });

  test.each(["replaced", "emptied"])("that was %s is reset although an image in it was pinned", async (what) => {
    const chain = chainId(`sha256:${"a".repeat(64)}`);
    const id = { manifestDigest: digest(chain), platform: "linux/amd64" };
    {
      await using fixture = await openFixture(testPool, { directory: place.dir });
      await new Client(fixture, ownScope).layer(chain, undefined);
      recordImage(fixture.database, {
        ...id,
        image: "oci:/a",
        chainId: chain,
        snapshot: snapshotKey(chain),
        layers: [],
      });
      await fixture.snapshotter["pin-images"](freshOperationId(), { images: [id], isPinned: true });
      await expect(fixture.snapshotter["reset-pool"](freshOperationId(), {})).rejects.toThrow("image oci:/a is pinned");
    }
    if (what === "replaced") await rm(image());
    await withPool(what === "replaced" ? async () => undefined : emptyDevices);
    await using fixture = await openFixture(testPool, { directory: place.dir, snapshotter: { acceptLoss: true } });
    const { removedDevices } = await fixture.snapshotter["reset-pool"](freshOperationId(), {});
    expect(removedDevices).toBeGreaterThan(0);
    expect(listImages(fixture.database)).toEqual([]);
  });

  test("that was deleted while it was attached can be had back from its loop device", async () => {
    const driver = place.connect();
    await driver.open();
    await rm(image());
    const [loop] = await findLoops(image());
    await expect(place.connect().open({ mustExist: true })).rejects.toThrow(`cp --sparse=always ${loop?.path ?? ""}`);
    await driver.close();
  });
});

describe("a pool in a directory", () => {
  beforeEach(async () => use(await poolInDirectory()));

  test("that was emptied, or is gone, is not made anew", async () => {
    for (const name of await readdir(files)) await rename(join(files, name), join(place.dir, "host", name));
    await expectLost("does not hold any of the 2 devices");
    await rm(files, { recursive: true });
    await expectLost("is not there");
    expect(existsSync(files)).toBe(false);
  });
});
