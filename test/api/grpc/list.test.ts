import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Info } from "../../../src/api/grpc/generated/snapshots_pb.js";
import { serveSnapshots } from "../../../src/api/grpc/server.ts";
import { internal } from "../../../src/domain/errors.ts";
import { scope } from "../../../src/domain/identifiers.ts";
import { createLogger } from "../../../src/logger.ts";
import { type Database, transact } from "../../../src/metadata/database.ts";
import { addActive, addCommitted, temporaryDatabase, testScope } from "../../metadata/support.ts";
import { failureOf, SnapshotsClient } from "./client.ts";

const count = 1_234;
const directory = mkdtempSync(join(tmpdir(), "snapmill-list-"));
let database: Database;
let server: AsyncDisposable;
let client: SnapshotsClient;

beforeAll(async () => {
  database = temporaryDatabase();
  transact(database, () => {
    const parent = addCommitted(database, "layer", 4096, { labels: { bottom: "yes" } });
    for (let index = 1; index < count; index += 1) {
      addActive(database, `key ${index}`, { parent, labels: { "example.com/number": String(index) } });
    }
    addActive(database, "of another scope", { inScope: scope("other") });
  });
  const address = join(directory, "list.sock");
  server = await serveSnapshots({
    address,
    log: createLogger({ name: "test", level: "silent" }),
    context: {
      scope: testScope,
      service: {
        database: () => database,
        change: () => Promise.reject(internal("nothing is changed here")),
        devicePath: (name) => `/dev/${name}`,
        usedBytes: () => Promise.resolve(0),
      },
    },
  });
  client = new SnapshotsClient(address);
}, 60_000);

afterAll(async () => {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

test("a list comes in blocks of a hundred, each snapshot once, and none of another scope", async () => {
  const sizes: number[] = [];
  const names = new Set<string>();
  for await (const block of client.blocks()) {
    sizes.push(block.length);
    for (const { name } of block) names.add(name);
  }
  expect(sizes).toEqual([...Array.from({ length: 12 }, () => 100), 34]);
  expect(names.size).toBe(count);
  expect(names).not.toContain("of another scope");
});

test("filters are containerd's: fields, operators, and, or, quotes", async () => {
  const namesOf = async (...filters: string[]) => (await client.list(...filters)).map(({ name }) => name);
  expect(await namesOf('labels."example.com/number"==7')).toEqual(["key 7"]);
  expect(await namesOf("kind==committed")).toEqual(["layer"]);
  expect(await namesOf("labels.bottom")).toEqual(["layer"]);
  expect(await namesOf('name=="key 1"', "name~=/^key 12$/", "kind!=active")).toEqual(["key 1", "key 12", "layer"]);
  expect(await namesOf('parent==layer,labels."example.com/number"~="^10[0-2]$"')).toEqual([
    "key 100",
    "key 101",
    "key 102",
  ]);
  expect(await namesOf("kind==view")).toEqual([]);
});

test("a filter that is none is refused, with the place of the mistake", async () => {
  const { code, details } = await failureOf(client.list("kind=view"));
  expect(code).toBe("INVALID_ARGUMENT");
  expect(details).toContain('filter "kind=view" at character 5');
});

test("a list that is given up, or read slowly, holds up no other call", async () => {
  for await (const _block of client.blocks()) break;
  const slow: Info[] = [];
  for await (const block of client.blocks()) {
    slow.push(...block);
    await client.call("stat", { key: "layer" });
  }
  expect(slow).toHaveLength(count);
});

test("labels that fill a message make it smaller", async () => {
  const labels = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`label${index}`, "x".repeat(4000)]));
  transact(database, () => {
    for (const key of ["large 1", "large 2"]) addActive(database, key, { labels });
  });
  const sizes: number[] = [];
  for await (const block of client.blocks(["name~=^large"])) sizes.push(block.length);
  expect(sizes).toEqual([1, 1]);
});
