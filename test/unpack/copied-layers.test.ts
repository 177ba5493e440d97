// Room: test. Owns the commits of copied layers: in which order they end, and that each one ends.
import { expect, test } from "bun:test";
import { Canceller } from "../../src/domain/cancellation.ts";
import { aborted, type SnapmillError } from "../../src/domain/errors.ts";
import { chainId, snapshotKey } from "../../src/domain/identifiers.ts";
import type { LayerStore } from "../../src/unpack/chain.ts";
import { type CopiedLayer, CopiedLayers } from "../../src/unpack/copied-layers.ts";

const idOf = (number: number) => chainId(`sha256:${String(number).repeat(64)}`);

test("after a layer that could not be committed, each one that is added fails as it did, and its lock is released", async () => {
  let [calls, released] = [0, 0];
  const store = {
    commitCopies: async () => {
      calls += 1;
      throw aborted("a copy is gone");
    },
  } as Pick<LayerStore, "commitCopies"> as LayerStore;
  const layers = new CopiedLayers({ store, signal: new Canceller().signal });
  const add = (number: number) => {
    const held = new DisposableStack();
    held.defer(() => {
      released += 1;
    });
    const layer: CopiedLayer = {
      chainId: idOf(number),
      key: snapshotKey("k"),
      bytes: 1,
      copy: "c",
      next: idOf(9),
      held,
    };
    return layers.add(layer).then(
      () => "committed",
      (error: SnapmillError) => error.message,
    );
  };
  for (const number of [1, 2, 3]) expect(await add(number)).toBe("a copy is gone");
  expect([calls, released]).toEqual([1, 3]);
  expect(layers.lockPaths("/locks").size).toBe(0);
  await expect(layers.settle()).rejects.toMatchObject({ code: "aborted", cause: { message: "a copy is gone" } });
});
