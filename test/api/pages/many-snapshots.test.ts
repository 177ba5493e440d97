// The page of snapshots over a pool with 10,000 of them: what one answer holds, what a search finds, and where it leads.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ownScope, poolName } from "../../../src/domain/identifiers.ts";
import type { Database } from "../../../src/metadata/database.ts";
import type { Host } from "../../../src/service/host.ts";
import { addCommitted, temporaryDatabase } from "../../metadata/support.ts";
import { type TestServer, testServer } from "../../support/http-server.ts";
import { textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(60_000);

const token = "a-right-token-0123456789";
const list = "/pools/pool/snapshots";
let database: Database;
let server: TestServer;
const visitor = new Visitor(() => server.url);

/** 40 bases, each with 3 chains of 83 above it. */
function fill(): void {
  const base = addCommitted(database, "base 00", 4096, { inScope: ownScope });
  const columns = "scope, key, kind, parent, device, used_bytes, created_at_ms, updated_at_ms";
  const insert = (key: string, parent: string) =>
    database.drizzle.run(
      `insert into snapshots (${columns}) values ('${ownScope}', '${key}', 'committed', (select number from snapshots
       where key = '${parent}'), ${base.deviceNumber}, 8192, 1, 1)`,
    );
  database.drizzle.run("begin");
  for (let number = 0; number < 40; number += 1) {
    const root = `base ${String(number).padStart(2, "0")}`;
    if (number > 0) insert(root, "");
    for (let chain = 1; chain <= 3; chain += 1) {
      for (let level = 1; level <= 83; level += 1) {
        insert(
          `${root} chain ${chain} level ${level}`,
          level === 1 ? root : `${root} chain ${chain} level ${level - 1}`,
        );
      }
    }
  }
  database.drizzle.run("commit");
}

beforeAll(async () => {
  database = temporaryDatabase();
  fill();
  const pools = new Map([[poolName("pool"), { database: () => database }]]);
  server = testServer(token, { host: { pools } as unknown as Host });
  expect(await visitor.signIn(token)).toBe(303);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  database[Symbol.dispose]();
});

const rowsOf = (html: string): number => html.split('<th scope="row">').length - 1;

test("one answer has 200 rows, whichever page is asked for, and says what they are below of", async () => {
  const first = await visitor.visit(list);
  expect([first.status, rowsOf(first.html)]).toEqual([200, 200]);
  expect(textOf(first.html)).toContain("10000 snapshots in scope snapmill");
  expect(textOf(first.html)).toContain("Page 1 of 50");
  const second = await visitor.visit(`${list}?page=2`);
  expect(rowsOf(second.html)).toBe(200);
  expect(textOf(second.html)).toMatch(/Below base 00 › base 00 chain 3 level 1 ›/);
  expect(textOf((await visitor.visit(`${list}?page=50`)).html)).not.toContain("Next");
});

test("a search keeps what a match is based on, and nothing else", async () => {
  const { html } = await visitor.visit(`${list}?find=${encodeURIComponent("base 27 chain 3 level 83")}`);
  expect(rowsOf(html)).toBe(84);
  expect(textOf(html)).toContain("; 1 found");
  expect(html.split('<tr class="match">').length - 1).toBe(1);
});

test("a snapshot's page counts what is above it, and what all of it would free", async () => {
  const { html } = await visitor.visit(`/pools/pool/snapshot?key=${encodeURIComponent("base 05")}`);
  expect(textOf(html)).toContain("249 snapshots are below it, which must go first");
});

test("the page is there when no verdict can be made", async () => {
  expect(textOf((await visitor.visit(list)).html)).toContain("! There is no verdict: ");
});
