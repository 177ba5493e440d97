// Owns the proof that containerd uses layers which snapmill has unpacked without unpacking them again, and that they stay.
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { ContainerdFixture } from "../support/containerd-fixture.ts";
import { ImageService } from "../support/image-service.ts";
import { Registry } from "../support/registry.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { describeTree, diffTrees } from "../support/trees.ts";
import { archiveOf, collectGarbage, lookInto, type Snapshots } from "./containerd-core.ts";

/** Declares the tests. */
export function describeHandshake(fixture: () => ContainerdFixture): void {
  test("of an image that snapmill has unpacked, a pull through CRI fetches no layer; a removal there or here breaks nothing", async () => {
    const { snapmill, containerd } = fixture();
    const layout = join(snapmill.directory, "pulled");
    const { reference, expected, layers } = await writeSmallImage(layout);
    const { top } = await archiveOf(layout, layers);
    await using registry = await Registry.start(join(snapmill.directory, "registry"));
    const name = await registry.push(reference, "small:test");
    const { layers: chain } = await snapmill.unpack(reference);
    const unpacked = fixture().poolContents();
    expect(Object.keys(unpacked)).toHaveLength(layers.length);

    using images = new ImageService(containerd.address);
    const snapshots: Snapshots = (...args) =>
      containerd.ctr("--namespace", "k8s.io", "snapshots", "--snapshotter", "snapmill", ...args);
    const pullForNothing = async (from: Registry) => {
      const before = from.fetchedBlobs().length;
      await images.pull(name);
      const fetched = from.fetchedBlobs().slice(before);
      expect(layers.filter(({ digest }) => fetched.includes(digest))).toEqual([]);
      const seen = await lookInto(snapmill.directory, snapshots, top, (root) =>
        diffTrees(expected, describeTree(root)),
      );
      expect(seen).toEqual([]);
    };

    await pullForNothing(registry);
    await collectGarbage(fixture());
    const shared = fixture().poolContents();
    expect(Object.keys(shared)).toEqual(Object.keys(unpacked));
    for (const on of Object.values(shared)) expect(on).toHaveLength(2);

    await images.remove(name);
    await collectGarbage(fixture());
    expect(fixture().poolContents()).toEqual(unpacked);

    await pullForNothing(registry);
    const removal = await snapmill.run(["rm", ...chain.map(({ chainId }) => chainId).reverse()]);
    expect(removal).toMatchObject({ exitCode: 0 });
    await collectGarbage(fixture());
    const containerds = Object.values(fixture().poolContents()).flat();
    expect(containerds.sort()).toEqual(chain.map(({ chainId }) => `containerd ${chainId}`).sort());
    const kept = await lookInto(snapmill.directory, snapshots, top, (root) => diffTrees(expected, describeTree(root)));
    expect(kept).toEqual([]);

    await images.remove(name);
    await collectGarbage(fixture());
  });
}
