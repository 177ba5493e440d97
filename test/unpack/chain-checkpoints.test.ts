// Room: test. Owns a chain on a real pool: the snapshot of each layer is the same by a checkpoint, a commit and a copy.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { basename, join } from "node:path";
import { Canceller } from "../../src/domain/cancellation.ts";
import { type FsType, fsTypes } from "../../src/domain/devices.ts";
import { failedPrecondition } from "../../src/domain/errors.ts";
import { freshOperationId, ownScope, parseDeviceName, snapshotKey } from "../../src/domain/identifiers.ts";
import { draftCopiesOf } from "../../src/drivers/open.ts";
import { openImage } from "../../src/images/resolve.ts";
import { deviceUnder } from "../../src/metadata/snapshots.ts";
import { hasNothingToReplay } from "../../src/system/mount/rest.ts";
import { unpackChain } from "../../src/unpack/chain.ts";
import { applyLayer, releaseDevice } from "../../src/unpack/layer.ts";
import { createLayerStore, type LayerStoreOptions } from "../../workers/layer-store.ts";
import type { PoolJobs } from "../../workers/pool-calls.ts";
import { inconsistencies } from "../conformance/consistency.ts";
import { Client, openFixture, type SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { testPool } from "../snapshotter/reflink-test-pool.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { anything, describeTree, diffTrees, type Tree } from "../support/trees.ts";

setDefaultTimeout(120_000);

interface Unpacked {
  readonly jobs: readonly string[];
  /** Of each layer's snapshot, bottom first. */
  readonly trees: readonly Tree[];
}

/** In this process: the verbs where a pool has its queue, and no writer of its own. */
async function unpack(
  fixture: SnapshotterFixture,
  reference: string,
  directory: string,
  copiesOf?: LayerStoreOptions["copiesOf"],
): Promise<Unpacked> {
  const { database, snapshotter } = fixture;
  const jobs: string[] = [];
  const call: PoolJobs["call"] = (job, given, { operationId = freshOperationId() } = {}) => {
    jobs.push(job);
    const verb = snapshotter[job as "prepare"].bind(snapshotter) as (id: string, request: object) => Promise<never>;
    return verb(operationId, given);
  };
  await using image = await openImage(reference, "linux/amd64");
  const chained = await unpackChain(image, {
    store: createLayerStore({
      database,
      client: { call },
      operationId: freshOperationId(),
      image: reference,
      ...(copiesOf && { copiesOf }),
      onLeftBehind: (_key, error) => expect(error).toBeUndefined(),
      onFailure: () => undefined,
    }),
    writer: {
      apply: (request, { onProgress }) => applyLayer(request, onProgress),
      release: async () => releaseDevice(),
    },
    lockDir: join(directory, "locks"),
    spaceGuards: [],
    signal: new Canceller().signal,
    handOver: new Canceller().signal,
    onProgress: () => undefined,
  });
  const trees: Tree[] = [];
  const client = new Client(fixture, ownScope);
  for (const { chainId } of chained) {
    trees.push(await client.seen(chainId, describeTree));
    const device = deviceUnder(database, client.stat(snapshotKey(chainId)));
    await fixture.driver.activate(device);
    expect(await hasNothingToReplay(fixture.driver.devicePath(device.deviceName))).toBe(true);
    await fixture.driver.deactivate(device);
  }
  return { jobs, trees };
}

/** Refuses every checkpoint, as a pool whose devices cannot be frozen does. */
const withoutCheckpoints = (fixture: SnapshotterFixture): SnapshotterFixture => ({
  ...fixture,
  snapshotter: {
    ...fixture.snapshotter,
    checkpoint: () => Promise.reject(failedPrecondition("it cannot be frozen from here")),
  },
});

/** Directories that no layer has an entry for have the time of the unpack. */
const withOpenTimes = (tree: Tree, expected: Tree): Tree =>
  new Map(
    [...tree].map(([path, facts]) => [
      path,
      expected.get(path)?.["mtimeNs"] === anything ? { ...facts, mtimeNs: anything } : facts,
    ]),
  );

interface Way {
  readonly change?: (fixture: SnapshotterFixture) => SnapshotterFixture;
  readonly hasCopies?: boolean;
}

const ways: readonly Way[] = [{}, { change: withoutCheckpoints }, { hasCopies: true }];

async function allWays(fsType: FsType): Promise<void> {
  await using images = await temporaryDirectory();
  const { reference, expected } = await writeSmallImage(join(images.path, "small"));
  const unpacked: Unpacked[] = [];
  for (const { change = (fixture: SnapshotterFixture) => fixture, hasCopies } of ways) {
    await using directory = await temporaryDirectory();
    await using fixture = await openFixture(testPool, { directory: directory.path, fsType, poolSizeBytes: 2 ** 30 });
    const poolDir = join(directory.path, "pool");
    const copiesOf = (path: string) => draftCopiesOf("reflink", poolDir, parseDeviceName(basename(path)));
    unpacked.push(await unpack(change(fixture), reference, directory.path, hasCopies === true ? copiesOf : undefined));
    expect(await inconsistencies(fixture)).toEqual([]);
  }
  const [byCheckpoint, byCommit, byCopies] = unpacked as [Unpacked, Unpacked, Unpacked];
  expect(byCheckpoint.jobs).toEqual(["prepare", "checkpoint", "checkpoint", "commit"]);
  expect(byCommit.jobs).toEqual(["prepare", "checkpoint", "commit", "prepare", "commit", "prepare", "commit"]);
  expect(byCopies.jobs[0]).toBe("prepare");
  expect(byCopies.jobs.slice(1, -1)).toContain("commit-copies");
  expect(byCopies.jobs.slice(1, -1)).not.toContain("checkpoint");
  expect(byCopies.jobs.at(-1)).toBe("commit");
  for (const [index, tree] of byCheckpoint.trees.entries()) {
    for (const other of [byCommit, byCopies]) {
      expect(diffTrees(withOpenTimes(other.trees[index] as Tree, expected), tree)).toEqual([]);
    }
  }
  expect(diffTrees(expected, byCheckpoint.trees.at(-1) as Tree)).toEqual([]);
}

describe("a chain of layers", () => {
  test.each([...fsTypes])("on %s has the same snapshots by checkpoints, commits and copies, all at rest", allWays);
});
