// Tests how a database is opened: by its writer, by readers in other processes, by other versions of the program.
import { Database as SqliteDatabase } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failedPrecondition, isSnapmillError } from "../../src/domain/errors.ts";
import { poolName } from "../../src/domain/identifiers.ts";
import { openDatabase, transact } from "../../src/metadata/database.ts";
import { addToOutbox, pendingOutbox } from "../../src/metadata/outbox.ts";
import { assertPoolOwned, lastTakeOver, poolNameOf, takePoolOver } from "../../src/metadata/pool.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { testWith } from "../support/tools.ts";
import { anOperation, thrownBy } from "./support.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-database-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const record = { name: poolName("p"), driver: "reflink", fsType: "ext4", deviceSizeBytes: 2 ** 30 } as const;
const entry = () => ({ operationId: anOperation(), job: "unpack", payload: { a: [1, null, "x"] } });

describe("a database", () => {
  test("is durable, keeps references whole and waits for locks", () => {
    using database = openDatabase(join(directory, "pragmas.db"), { mode: "readwrite" });
    const pragma = (name: string) => database.drizzle.get<[string | number]>(`PRAGMA ${name}`)[0];
    expect(pragma("journal_mode")).toBe("wal");
    expect(pragma("synchronous")).toBe(2);
    expect(pragma("foreign_keys")).toBe(1);
    expect(pragma("busy_timeout")).toBe(5000);
  });

  test("is opened again with what was written", () => {
    const path = join(directory, "again.db");
    const written = entry();
    using first = openDatabase(path, { mode: "readwrite" });
    addToOutbox(first, written);
    addToOutbox(first, { ...written, payload: "another" });
    first.close();
    using second = openDatabase(path, { mode: "readwrite" });
    expect(pendingOutbox(second)).toMatchObject([written]);
  });

  test("that does not exist is not_found for a reader, which makes none", () => {
    const path = join(directory, "missing.db");
    const error = thrownBy(() => openDatabase(path, { mode: "readonly" }));
    expect(isSnapmillError(error, "not_found")).toBe(true);
    expect(String(error)).toContain("no pool here yet");
    expect(Bun.file(path).size).toBe(0);
  });

  test("that is no file is refused by its name", () => {
    const error = thrownBy(() => openDatabase(directory, { mode: "readonly" }));
    expect(isSnapmillError(error, "failed_precondition")).toBe(true);
    expect(String(error)).toContain(`${directory} cannot be opened (disk I/O error)`);
  });

  testWith(["mkfs.ext4", "mount"], "is refused on a full disk of small blocks, and kills no process", async () => {
    const image = join(directory, "disk.img");
    const disk = join(directory, "disk");
    mkdirSync(disk);
    await runCommand("truncate", ["-s", "8M", image]);
    await runCommand("mkfs.ext4", ["-q", "-b", "1024", image]);
    await runCommand("mount", ["-o", "loop", image, disk]);
    try {
      const path = join(disk, "full.db");
      await runCommand("touch", [path]);
      await runCommand("dd", ["if=/dev/zero", `of=${join(disk, "filler")}`, "bs=1K"], { successCodes: [1] });
      for (const mode of ["readonly", "readwrite"] as const) {
        const error = thrownBy(() => openDatabase(path, { mode }));
        expect(isSnapmillError(error, "failed_precondition")).toBe(true);
        expect(String(error)).toContain(`${path} cannot be opened: its disk is full`);
      }
    } finally {
      await runCommand("umount", [disk]);
    }
  });

  test("shows a reader each commit of the writer, and lets it write nothing", () => {
    const path = join(directory, "readers.db");
    using writer = openDatabase(path, { mode: "readwrite" });
    using reader = openDatabase(path, { mode: "readonly" });
    for (const count of [1, 2, 3]) {
      addToOutbox(writer, entry());
      expect(pendingOutbox(reader)).toHaveLength(count);
    }
    transact(writer, () => {
      addToOutbox(writer, entry());
      expect(pendingOutbox(reader)).toHaveLength(3);
    });
    expect(pendingOutbox(reader)).toHaveLength(4);
    expect(() => addToOutbox(reader, entry())).toThrow("readonly");
  });

  test("can be read when no writer is there, also after the writer closed it", () => {
    const path = join(directory, "alone.db");
    using writer = openDatabase(path, { mode: "readwrite" });
    addToOutbox(writer, entry());
    writer.close();
    using reader = openDatabase(path, { mode: "readonly" });
    expect(pendingOutbox(reader)).toHaveLength(1);
  });

  test.each(["readwrite", "readonly"] as const)("of a newer program is refused in words (%s)", (mode) => {
    const path = join(directory, `newer-${mode}.db`);
    openDatabase(path, { mode: "readwrite" }).close();
    const client = new SqliteDatabase(path);
    client.run("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('of the future', 9999999999999)");
    client.close();
    const error = thrownBy(() => openDatabase(path, { mode }));
    expect(isSnapmillError(error, "failed_precondition")).toBe(true);
    expect(String(error)).toContain("was written by a newer snapmill");
  });

  test("that is just being made is to a reader as if it was not there", () => {
    const path = join(directory, "begun.db");
    new SqliteDatabase(path, { create: true }).run("CREATE TABLE __drizzle_migrations (id INTEGER, hash TEXT)");
    const error = thrownBy(() => openDatabase(path, { mode: "readonly" }));
    expect(isSnapmillError(error, "not_found")).toBe(true);
    expect(String(error)).toContain("there is no pool here yet");
  });

  test("of an older program is refused to a reader, which cannot bring it up to date", () => {
    const path = join(directory, "older.db");
    new SqliteDatabase(path, { create: true }).run("CREATE TABLE unrelated (x)");
    const error = thrownBy(() => openDatabase(path, { mode: "readonly" }));
    expect(isSnapmillError(error, "failed_precondition")).toBe(true);
    expect(String(error)).toContain("was written by an older snapmill");
  });
});

describe("a transaction", () => {
  testWith(["strace"], "waits for the disk, unless it may be lost: then the next one waits for both", async () => {
    const flushesOf = async (name: string, script: string): Promise<number> => {
      const trace = join(directory, `${name}.trace`);
      const moduleOf = (room: string) => JSON.stringify(join(import.meta.dir, `../../src/metadata/${room}.ts`));
      const program = `
        const { makeDurable, openDatabase, transact, transactSoon } = await import(${moduleOf("database")});
        const { addToOutbox } = await import(${moduleOf("outbox")});
        const database = openDatabase(${JSON.stringify(join(directory, `${name}.db`))}, { mode: "readwrite" });
        const write = () => addToOutbox(database, { operationId: crypto.randomUUID(), job: "unpack", payload: {} });
        ${script}
        process.kill(process.pid, "SIGKILL");`; // A database that is closed is flushed.
      await Bun.$`strace -f -qq -e trace=fsync,fdatasync -o ${trace} ${process.execPath} -e ${program}`
        .quiet()
        .nothrow();
      return readFileSync(trace, "utf8")
        .split("\n")
        .filter((line) => /f(data)?sync\(/.test(line)).length;
    };
    const none = await flushesOf("none", "");
    const ten = "for (let turn = 0; turn < 10; turn += 1)";
    expect(await flushesOf("each", `${ten} transact(database, write);`)).toBe(none + 10);
    expect(await flushesOf("soon", `${ten} transactSoon(database, write);`)).toBe(none);
    expect(await flushesOf("next", `${ten} transactSoon(database, write); transact(database, write);`)).toBe(none + 1);
    expect(await flushesOf("made", "transactSoon(database, write); makeDurable(database);")).toBe(none + 1);
    // A reader that began after a checkpoint, such as a walk, keeps the next checkpoint from syncing anything.
    const besideReader = `
      transact(database, write);
      database.drizzle.run("PRAGMA wal_checkpoint(PASSIVE)");
      const reader = openDatabase(database.path, { mode: "readonly" });
      reader.drizzle.run("BEGIN");
      reader.drizzle.get("SELECT count(*) FROM outbox");
      transactSoon(database, write);`;
    const unmade = await flushesOf("unmade", besideReader);
    expect(await flushesOf("beside", `${besideReader} makeDurable(database);`)).toBe(unmade + 1);
  });

  test("that throws leaves nothing, and a savepoint within it only its own part", () => {
    using database = openDatabase(join(directory, "transactions.db"), { mode: "readwrite" });
    const fail = () => {
      throw failedPrecondition("enough");
    };
    const addAndFail = () => {
      addToOutbox(database, entry());
      fail();
    };
    expect(() => transact(database, addAndFail)).toThrow("enough");
    expect(pendingOutbox(database)).toHaveLength(0);
    transact(database, () => {
      addToOutbox(database, entry());
      expect(() => transact(database, addAndFail)).toThrow("enough");
      addToOutbox(database, entry());
    });
    expect(pendingOutbox(database)).toHaveLength(2);
  });
});

describe("a pool", () => {
  test("is taken over by the latest worker, which shuts the one before out", () => {
    using database = openDatabase(join(directory, "pool.db"), { mode: "readwrite" });
    expect(thrownBy(() => poolNameOf(database))).toMatchObject({ code: "failed_precondition" });
    expect(lastTakeOver(database)).toBeUndefined();
    const first = takePoolOver(database, record);
    expect(lastTakeOver(database)).toEqual(first);
    assertPoolOwned(database, first);
    expect(thrownBy(() => assertPoolOwned(database, undefined))).toMatchObject({ code: "aborted" });
    expect(poolNameOf(database)).toBe(record.name);
    const second = takePoolOver(database, { ...record, deviceSizeBytes: 2 ** 31 });
    expect(first.owner).toBeGreaterThan(0);
    expect(second).toEqual({ owner: first.owner, takeOver: first.takeOver + 1 });
    expect(thrownBy(() => assertPoolOwned(database, first))).toMatchObject({ code: "aborted" });
    assertPoolOwned(database, second);
  });

  test("of a database without an owner's number gets one, and keeps it", () => {
    using database = openDatabase(join(directory, "owner.db"), { mode: "readwrite" });
    takePoolOver(database, record);
    database.drizzle.run("UPDATE pool SET owner = NULL");
    const { owner } = takePoolOver(database, record);
    expect(owner).toBeWithin(1, 2 ** 28);
    expect(takePoolOver(database, record).owner).toBe(owner);
    using another = openDatabase(join(directory, "other.db"), { mode: "readwrite" });
    expect(takePoolOver(another, record).owner).not.toBe(owner);
  });

  test("keeps its name and driver", () => {
    using database = openDatabase(join(directory, "kept.db"), { mode: "readwrite" });
    takePoolOver(database, record);
    expect(() => takePoolOver(database, { ...record, driver: "devmapper" })).toThrow("whose driver is reflink");
    expect(() => takePoolOver(database, { ...record, name: poolName("q") })).toThrow("whose name is p");
  });
});
