// Tests what uses each layer: what an image has for itself, what it shares, and what nothing uses.
import { expect, test } from "bun:test";
import { chainId, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { type Database, transact } from "../../src/metadata/database.ts";
import { idOf, markRemoved } from "../../src/metadata/images.ts";
import { bytesOf, readLayerUses, unusedLayers } from "../../src/metadata/layer-uses.ts";
import { addToOutbox, cancelInOutbox } from "../../src/metadata/outbox.ts";
import { insertSnapshot } from "../../src/metadata/snapshot-changes.ts";
import { findSnapshot } from "../../src/metadata/snapshots.ts";
import { addImage, addLayer, imageOf, sha, statementsPrepared } from "./layered-images.ts";
import { addActive, addCommitted, anOperation, temporaryDatabase, testScope } from "./support.ts";

const bytes = (database: Database, name: string) => bytesOf(readLayerUses(database), imageOf(database, name));
const unused = (database: Database, ...without: string[]) =>
  unusedLayers(readLayerUses(database, new Set(without.map((name) => idOf(imageOf(database, name)))))).map(
    ({ ownBytes }) => ownBytes,
  );

/** a: base 100, a 30; b: base, b 10 (maps less than its parent where it discarded), top 7. */
function twoImages(): Database {
  const database = temporaryDatabase();
  const base = addLayer(database, "base", 100);
  addLayer(database, "a", 130, base);
  const b = addLayer(database, "b", 110, base);
  addLayer(database, "b top", 117, b);
  addImage(database, "a", ["base", "a"]);
  addImage(database, "b", ["base", "b", "b top"]);
  return database;
}

test("what only one image uses is its own, what two use is shared, and is the other's once one is gone", () => {
  using database = twoImages();
  expect(bytes(database, "a")).toEqual({ exclusiveBytes: 30, sharedBytes: 100 });
  expect(bytes(database, "b")).toEqual({ exclusiveBytes: 17, sharedBytes: 100 });
  expect(unused(database)).toEqual([]);
  expect(unused(database, "b")).toEqual([7, 10]);
  expect(unused(database, "a", "b")).toEqual([7, 10, 30, 100]);
  markRemoved(database, imageOf(database, "b"));
  expect(bytes(database, "a")).toEqual({ exclusiveBytes: 130, sharedBytes: 0 });
  expect(unused(database)).toEqual([7, 10]);
});

test("a user's snapshot, a client of the socket and an unpack that has not ended use a layer and all below", () => {
  using database = twoImages();
  const layer = (name: string) => findSnapshot(database, ownScope, snapshotKey(sha(name)));
  addActive(database, "work", { parent: layer("b"), inScope: ownScope });
  expect(bytes(database, "b")).toEqual({ exclusiveBytes: 7, sharedBytes: 110 });
  const { deviceNumber, number: parentNumber } = layer("a");
  insertSnapshot(database, {
    scope: testScope,
    key: snapshotKey(sha("a")),
    kind: "committed",
    parentNumber: undefined,
    deviceNumber,
    usedBytes: 130,
    labels: {},
  });
  expect(bytes(database, "a")).toEqual({ exclusiveBytes: 0, sharedBytes: 130 });
  expect(readLayerUses(database).layers.get(chainId(sha("a")))?.users.other).toContain("client of the socket");
  const unpack = anOperation();
  addToOutbox(database, { operationId: unpack, job: "unpack", payload: {} });
  addLayer(database, "left", 140, layer("a"), unpack);
  expect(parentNumber).toBe(layer("left").parentNumber ?? 0);
  expect(unused(database, "a", "b")).toEqual([7]);
  // Cancelled, it has ended: no image owns what it left.
  cancelInOutbox(database, unpack);
  expect(unused(database, "a", "b")).toEqual([10, 7]);
});

test("a snapshot that a user has committed is not a layer, whatever its name, and keeps its parents", () => {
  using database = twoImages();
  const a = findSnapshot(database, ownScope, snapshotKey(sha("a")));
  addCommitted(database, "mine", 150, { inScope: ownScope, parent: a });
  addCommitted(database, sha("mine too"), 150, { inScope: ownScope });
  expect(unused(database, "a", "b")).toEqual([7, 10]);
});

test("two images that end in the same layer share it", () => {
  using database = twoImages();
  addImage(database, "a again", ["base", "a"]);
  expect(bytes(database, "a")).toEqual({ exclusiveBytes: 0, sharedBytes: 130 });
  expect(unused(database, "a")).toEqual([]);
  expect(unused(database, "a", "a again")).toEqual([30]);
});

test("the uses of many layers take as many statements as those of a few", () => {
  const statementsFor = (count: number): number => {
    using database = temporaryDatabase();
    transact(database, () => {
      for (let index = 0; index < count; index += 1) {
        addLayer(database, `layer ${index}`, 10);
        addImage(database, `image ${index}`, [`layer ${index}`]);
      }
    });
    return statementsPrepared(database, () => expect(readLayerUses(database).layers.size).toBe(count));
  };
  expect(statementsFor(50)).toBe(statementsFor(2));
  expect(statementsFor(2)).toBeGreaterThan(2);
});
