// Tests what a pool's space is used for: each byte that was measured counts once.
import { expect, test } from "bun:test";
import { ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { type Database, transact } from "../../src/metadata/database.ts";
import { markRemoved } from "../../src/metadata/images.ts";
import { insertSnapshot } from "../../src/metadata/snapshot-changes.ts";
import { findSnapshot } from "../../src/metadata/snapshots.ts";
import { readSpaceUse } from "../../src/metadata/space-use.ts";
import { addImage, addLayer, imageOf, sha, statementsPrepared } from "./layered-images.ts";
import { addActive, addCommitted, temporaryDatabase, testScope } from "./support.ts";

/** a: base 100, a 30; b: base, b 40. */
function twoImages(): Database {
  const database = temporaryDatabase();
  const base = addLayer(database, "base", 100);
  addLayer(database, "a", 130, base);
  addLayer(database, "b", 140, base);
  addImage(database, "a", ["base", "a"]);
  addImage(database, "b", ["base", "b"]);
  return database;
}

const told = (database: Database) => {
  const { images, ...use } = readSpaceUse(database);
  return { images: images.map(({ image, exclusiveBytes }) => [image.names[0]?.reference, exclusiveBytes]), ...use };
};
const nothing = { sharedBytes: 0, otherBytes: 0, unclaimedBytes: 0, removalBytes: 0 };
const layer = (database: Database, name: string) => findSnapshot(database, ownScope, snapshotKey(sha(name)));

test("what an image has for itself is its own, the largest first, and what two have is shared once", () => {
  using database = twoImages();
  const images = [
    ["b", 40],
    ["a", 30],
  ];
  expect(told(database)).toEqual({ ...nothing, images, sharedBytes: 100 });
});

test("layers of an image that was removed belong to nobody", () => {
  using database = twoImages();
  markRemoved(database, imageOf(database, "b"));
  expect(told(database)).toEqual({ ...nothing, images: [["a", 130]], unclaimedBytes: 40 });
});

test("what only a user's snapshot keeps is neither an image's nor unclaimed, and what both use is shared", () => {
  using database = twoImages();
  markRemoved(database, imageOf(database, "b"));
  addActive(database, "work", { parent: layer(database, "b"), inScope: ownScope });
  addCommitted(database, "mine", 147, { inScope: ownScope, parent: layer(database, "b") });
  expect(told(database)).toEqual({ ...nothing, images: [["a", 30]], sharedBytes: 100, otherBytes: 40 + 7 });
});

test("a device that several scopes show counts once, and what is on it by what it adds", () => {
  using database = twoImages();
  const { deviceNumber } = layer(database, "a");
  insertSnapshot(database, {
    scope: testScope,
    key: snapshotKey(sha("a")),
    kind: "committed",
    parentNumber: undefined,
    deviceNumber,
    usedBytes: 130,
    labels: {},
  });
  addCommitted(database, "above", 135, { parent: findSnapshot(database, testScope, snapshotKey(sha("a"))) });
  const images = [
    ["b", 40],
    ["a", 0],
  ];
  expect(told(database)).toEqual({ ...nothing, images, sharedBytes: 130, otherBytes: 5 });
});

test("a thousand snapshots take as many statements as ten", () => {
  const statementsFor = (count: number): number => {
    using database = temporaryDatabase();
    transact(database, () => {
      for (let index = 0; index < count; index += 1) {
        addLayer(database, `layer ${index}`, 10);
        if (index % 5 === 0) addImage(database, `image ${index}`, [`layer ${index}`]);
      }
    });
    return statementsPrepared(database, () => {
      expect(told(database)).toMatchObject({ unclaimedBytes: count * 8, sharedBytes: 0 });
    });
  };
  expect(statementsFor(1_000)).toBe(statementsFor(10));
});
