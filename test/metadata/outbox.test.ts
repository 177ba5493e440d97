// Room: test. Owns entries of the outbox: one for each operation ID, whatever is asked for under it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Database } from "../../src/metadata/database.ts";
import { addToOutbox, cancelInOutbox, damagedOutbox, pendingOutbox } from "../../src/metadata/outbox.ts";
import { anOperation, temporaryDatabase } from "./support.ts";

let database: Database;
beforeEach(() => {
  database = temporaryDatabase();
});
afterEach(() => database.close());

const entry = (reference: string, operationId = anOperation()) => ({
  operationId,
  job: "unpack",
  payload: { reference, registry: { plainHttp: true } },
});

test("an entry is written once, and a second one with its ID for other work is refused", () => {
  const one = entry("oci:/a");
  expect([addToOutbox(database, one), addToOutbox(database, one)]).toEqual(["written", "written"]);
  expect(addToOutbox(database, entry("oci:/b", one.operationId))).toBe("other");
  expect(addToOutbox(database, { ...one, job: "remove-device" })).toBe("other");
  expect(pendingOutbox(database)).toMatchObject([one]);
});

test("a cancelled entry stays cancelled when it is written again", () => {
  const one = entry("oci:/a");
  cancelInOutbox(database, one.operationId);
  expect(addToOutbox(database, one)).toBe("cancelled");
  expect(pendingOutbox(database)).toEqual([]);
});

test("a damaged entry is replaced when it is written again", () => {
  const one = entry("oci:/a");
  addToOutbox(database, one);
  database.drizzle.run("UPDATE outbox SET payload = '{ no JSON'");
  expect(damagedOutbox(database)).toHaveLength(1);
  expect(addToOutbox(database, one)).toBe("written");
  expect(pendingOutbox(database)).toMatchObject([one]);
});
