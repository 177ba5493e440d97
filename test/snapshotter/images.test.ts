// Tests the removal and pinning of images on a real pool: what goes with an image, what stays, and that nothing is left.
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ChainId,
  childChainId,
  containerdScope,
  diffId,
  digest,
  freshOperationId,
  ownScope,
  snapshotKey,
} from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import type { RequestOf } from "../../src/jobs/contract.ts";
import { listDevices } from "../../src/metadata/devices.ts";
import { type Image, listImages } from "../../src/metadata/images.ts";
import { pendingRemovals } from "../../src/metadata/pending-removals.ts";
import { inconsistencies } from "../conformance/consistency.ts";
import { runUntilKilled } from "../conformance/killed-operation.ts";
import { Client, codeOf, mounted, openFixture, type SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { testPool } from "./reflink-test-pool.ts";

setDefaultTimeout(60_000);

const platform = "linux/amd64";
const sha256 = (text: string) => `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;

let directory: string;
let fixture: SnapshotterFixture;
let own: Client;
let before: object;

const openAgain = async () => {
  fixture = await openFixture(testPool, { directory });
  own = new Client(fixture, ownScope);
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-images-"));
  await openAgain();
  // Its template stays in the pool.
  await own.prepare("first");
  await own.remove("first");
  before = await contents();
});
afterEach(async () => {
  for (const { manifestDigest, platform: its } of listImages(fixture.database)) {
    await fixture.snapshotter["pin-images"](freshOperationId(), {
      images: [{ manifestDigest, platform: its }],
      isPinned: false,
    });
  }
  await removeImages({ images: listImages(fixture.database) });
  expect(await contents()).toEqual(before);
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** All that a pool must have again once its images are gone, with what jobs do worked off. */
async function contents(): Promise<object> {
  await workOff();
  expect(await inconsistencies(fixture)).toEqual([]);
  const { usedBytes } = await fixture.driver.poolUsage();
  return {
    devices: listDevices(fixture.database).length,
    inPool: (await fixture.driver.list(listDevices(fixture.database))).length,
    images: listImages(fixture.database),
    snapshots: own.walk(),
    usedMebibytes: Math.round(usedBytes / 2 ** 20),
  };
}

async function workOff(): Promise<void> {
  for (const { operationId, device } of pendingRemovals(fixture.database)) {
    await fixture.snapshotter["remove-device"](operationId, { device });
  }
}

/** Unpacks the layers that the pool does not have, bottom first, and names the image. Returns its chain. */
async function unpack(name: string, layers: readonly string[], manifest = name): Promise<ChainId[]> {
  const chain: ChainId[] = [];
  for (const layer of layers) chain.push(childChainId(chain.at(-1), diffId(sha256(layer))));
  for (const [index, chainId] of chain.entries()) {
    if (own.walk(`name==${chainId}`).length > 0) continue;
    const { mounts } = await own.prepare(`attempt ${chainId}`, chain[index - 1]);
    await mounted(mounts, (root) => writeFileSync(join(root, chainId.slice(7, 19)), Buffer.alloc(2 ** 20, index + 1)));
    await own.commit(chainId, `attempt ${chainId}`, { [labelNames.unpackBytes]: "1" });
  }
  const top = chain.at(-1) as ChainId;
  const facts = { digest: digest(sha256("blob")), compressedBytes: 1, bytes: 1, cached: false, ms: 1 };
  await fixture.snapshotter["settle-unpack"](freshOperationId(), {
    unpackOperationId: freshOperationId(),
    outcome: {
      kind: "unpacked",
      image: {
        image: name,
        platform,
        manifestDigest: digest(sha256(manifest)),
        chainId: top,
        snapshot: snapshotKey(top),
        layers: chain.map((chainId) => ({ ...facts, diffId: diffId(chainId), chainId })),
      },
    },
  });
  return chain;
}

const removeImages = ({ names = [], images = [], ...rest }: Partial<RequestOf<"remove-images">>) =>
  fixture.snapshotter["remove-images"](freshOperationId(), {
    names,
    images: images.map(({ manifestDigest, platform: its }) => ({ manifestDigest, platform: its })),
    ...rest,
  });
const removeNames = (...references: string[]) =>
  removeImages({ names: references.map((reference) => ({ reference, platform })) });
const pin = (images: readonly Image[], isPinned = true) =>
  fixture.snapshotter["pin-images"](freshOperationId(), {
    images: images.map(({ manifestDigest, platform: its }) => ({ manifestDigest, platform: its })),
    isPinned,
  });
const imageNamed = (name: string): Image[] =>
  listImages(fixture.database).filter(({ names }) => names.some(({ reference }) => reference === name));

test("an image goes with its last name, but for the layers that another image has", async () => {
  const [base = "", top = ""] = await unpack("a:1", ["base", "a"]);
  const [, ...ofB] = await unpack("b:1", ["base", "b", "b top"]);
  await unpack("a:latest", ["base", "a"], "a:1");
  expect(await removeNames("a:1")).toMatchObject({ names: [{ reference: "a:1" }], images: [], layers: [], kept: [] });
  const removed = await removeNames("a:latest");
  expect(removed).toMatchObject({ images: [{ platform }], layers: [{ chainId: top }], isMore: false, kept: [] });
  expect(removed.layers[0]?.bytes).toBeGreaterThanOrEqual(2 ** 20);
  expect(own.walk().sort()).toEqual([base, ...ofB].sort());
  expect(await removeNames("a:latest", "never:1")).toMatchObject({ names: [], images: [], layers: [] });
  const last = await removeNames("b:1");
  expect(last.layers.map(({ chainId }) => chainId as string)).toEqual([...ofB.toReversed(), base]);
  expect(own.walk()).toEqual([]);
});

test("a name that moves leaves an image that can still be removed by its digest, with what an earlier unpack left", async () => {
  await unpack("a:1", ["base", "a"], "first");
  await unpack("a:1", ["base", "a new"], "second");
  const [dangling] = listImages(fixture.database).filter(({ names }) => names.length === 0);
  await own.prepare("attempt", undefined);
  await own.commit(sha256("left"), "attempt", { [labelNames.unpackBytes]: "1" });
  const removed = await removeImages({ images: [dangling as Image] });
  expect(removed.layers).toHaveLength(2);
  expect(imageNamed("a:1")).toHaveLength(1);
});

test("an image that was asked for since is left", async () => {
  await unpack("a:1", ["a"]);
  const [image] = imageNamed("a:1");
  const { kept } = await removeImages({ images: [image as Image], notAskedSinceMs: (image?.lastAskedAtMs ?? 0) - 1 });
  expect(kept).toMatchObject([{ kind: "asked for", manifestDigest: image?.manifestDigest }]);
  expect(imageNamed("a:1")).toEqual([image as Image]);
});

test("a pin keeps an image from its removal, its snapshot's, its parents', a cleanup's and the pool's reset", async () => {
  const [base = "", top = ""] = await unpack("a:1", ["base", "a"]);
  await pin(imageNamed("a:1"));
  expect((await removeNames("a:1")).kept).toMatchObject([{ kind: "pinned", reason: expect.stringContaining("unpin") }]);
  expect((await removeImages({ images: imageNamed("a:1") })).kept).toMatchObject([{ kind: "pinned" }]);
  for (const key of [top, base]) expect(await codeOf(own.remove(key))).toBe("failed_precondition");
  await expect(own.remove(top)).rejects.toThrow(
    /^snapshot "sha256:.*" is image a:1, which is pinned: 'snapmill images unpin/,
  );
  await expect(fixture.snapshotter["reset-pool"](freshOperationId(), {})).rejects.toThrow("image a:1 is pinned");
  await fixture.snapshotter.cleanup(freshOperationId(), {});
  await fixture.snapshotter.doctor(freshOperationId(), { repair: true });
  // Without its name, it is still pinned.
  await unpack("a:1", ["another"], "another");
  expect((await removeImages({ images: listImages(fixture.database) })).images).toHaveLength(1);
  expect(own.walk().sort()).toEqual([base, top].sort());
  await pin(listImages(fixture.database), false);
  await own.remove(top);
  expect(listImages(fixture.database)).toEqual([]);
  await removeNames("none");
});

test("layers that a snapshot or a client of the socket uses go when those have gone, and the image can come back before", async () => {
  const [base = "", top = ""] = await unpack("a:1", ["base", "a"]);
  const client = new Client(fixture, containerdScope);
  expect(await codeOf(client.prepare("pulled", undefined, { [labelNames.snapshotRef]: base }))).toBe("already_exists");
  await own.prepare("work", top);
  const removed = await removeNames("a:1");
  expect(removed).toMatchObject({ images: [{ platform }], layers: [], kept: [{ kind: "in use" }] });
  expect(removed.kept[0]?.reason).toContain('all its layers are still used by snapshot "work"');
  await unpack("a:1", ["base", "a"]);
  await own.remove("work");
  await fixture.snapshotter.sweep(freshOperationId());
  expect(own.walk().sort()).toEqual([base, top].sort());
  expect((await removeNames("a:1")).kept[0]?.reason).toContain(
    "1 of its layers are still used by a client of the socket",
  );
  expect(own.walk()).toEqual([base]);
  await fixture.snapshotter.sweep(freshOperationId());
  expect(own.walk()).toEqual([base]);
  await client.remove(base);
  await fixture.snapshotter.sweep(freshOperationId());
  expect(own.walk()).toEqual([]);
  expect(listImages(fixture.database)).toEqual([]);
});

test("killed half-way through the devices of a removed image, the next process removes the rest", async () => {
  await unpack("a:1", ["base", "a", "top"]);
  await removeNames("a:1");
  expect(own.walk()).toEqual([]);
  for (const point of ["remove-device.deactivated", "remove-device.deleted"] as const) {
    const [removal, ...more] = pendingRemovals(fixture.database);
    if (removal === undefined) throw new Error("no removal is pending");
    await fixture[Symbol.asyncDispose]();
    const { operationId, device } = removal;
    const testPoolModule = join(import.meta.dir, "reflink-test-pool.ts");
    const killed = {
      directory,
      testPoolModule,
      point,
      verb: "remove-device",
      operationId,
      request: { device },
    } as const;
    expect(await runUntilKilled(killed)).toBe("SIGKILL");
    await openAgain();
    expect(pendingRemovals(fixture.database).length).toBeGreaterThanOrEqual(more.length);
  }
});
