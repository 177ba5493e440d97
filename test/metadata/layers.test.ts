// Tests what an unpack reads of the records: whether the pool holds a layer, and which attempts at it were left behind.
import { expect, test } from "bun:test";
import { type ChainId, ownScope, scope } from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import { committedLayerBytes, layerAttempts, layerStatements } from "../../src/metadata/layers.ts";
import { replaceLabels } from "../../src/metadata/snapshot-changes.ts";
import { addActive, addCommitted, temporaryDatabase } from "./support.ts";

const chain = (digit: string) => `sha256:${digit.repeat(64)}` as ChainId;

test("a committed layer is found with its length, an active or missing one and another scope's are not", () => {
  using database = temporaryDatabase();
  addCommitted(database, chain("a"), 10, { inScope: ownScope, labels: { [labelNames.unpackBytes]: "1234" } });
  addCommitted(database, chain("b"), 10, { inScope: scope("other"), labels: { [labelNames.unpackBytes]: "1" } });
  addActive(database, chain("c"), { inScope: ownScope });
  expect([chain("a"), chain("b"), chain("c")].map((id) => committedLayerBytes(database, id))).toEqual([
    1234,
    undefined,
    undefined,
  ]);
});

test.each([[""], ["many"], ["-1"], ["1e999"], ["9".repeat(400)]])(
  "a layer whose length label is %p still counts, without a length",
  (text) => {
    using database = temporaryDatabase();
    const layer = addCommitted(database, chain("a"), 10, { inScope: ownScope });
    replaceLabels(database, layer, text === "" ? {} : { [labelNames.unpackBytes]: text });
    expect(committedLayerBytes(database, chain("a"))).toBe(0);
  },
);

test("attempts at a layer are its active snapshots in snapmill's own scope, found by the label's index", () => {
  using database = temporaryDatabase();
  const labels = { [labelNames.unpackChain]: chain("a") };
  addActive(database, "one", { inScope: ownScope, labels });
  addActive(database, "two", { inScope: ownScope, labels });
  addActive(database, "other layer", { inScope: ownScope, labels: { [labelNames.unpackChain]: chain("b") } });
  addActive(database, "other scope", { inScope: scope("other"), labels });
  addCommitted(database, "committed", 10, { inScope: ownScope, labels });
  expect(layerAttempts(database, chain("a")).map(String).toSorted()).toEqual(["one", "two"]);
  const { sql } = layerStatements(database).attempts.getQuery();
  const plan = JSON.stringify(database.drizzle.all<unknown>(`explain query plan ${sql.replaceAll("?", "1")}`));
  expect(plan).toContain("labels_name_value (name=? AND value=?)");
  expect(plan).not.toContain("SCAN");
});
