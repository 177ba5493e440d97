// The stamp by which open pages learn of changes: another after each write, whoever wrote; the same after reads.
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { poolName } from "../../src/domain/identifiers.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { serviceSchema } from "../../src/metadata/migrations.ts";
import { changeStamp } from "../../src/service/change-stamp.ts";
import { DatabaseReader } from "../../src/service/database-reader.ts";
import type { Host } from "../../src/service/host.ts";
import { temporaryDirectory } from "../support/directories.ts";

test("a stamp changes with every write to a pool's database or the own one, and with nothing else", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "pool.db");
  using writer = openDatabase(path, { mode: "readwrite" });
  using own = openDatabase(join(directory.path, "service.db"), { mode: "readwrite", schema: serviceSchema });
  using reader = new DatabaseReader(path);
  const pools = new Map([[poolName("default"), { database: () => reader.current() }]]);
  const stamp = () => changeStamp({ pools, auditLog: () => own } as unknown as Host);
  const write = ({ drizzle }: typeof writer) => {
    drizzle.run("create table if not exists t (x)");
    drizzle.run("insert into t values (1)");
  };

  const first = stamp();
  reader.current().drizzle.all("select count(*) from snapshots");
  expect(stamp()).toBe(first);
  write(writer);
  const second = stamp();
  expect(second).not.toBe(first);
  expect(stamp()).toBe(second);
  write(own);
  const third = stamp();
  expect(third).not.toBe(second);
  expect(stamp()).toBe(third);

  rmSync(path);
  expect(stamp()).toContain("away");
});
