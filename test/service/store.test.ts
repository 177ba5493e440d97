// Room: test. Owns that a pool's database which a command has read is closed with it, and not at the end of the process.
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import { paths, readConfig } from "../../src/config.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { readPool } from "../../src/metadata/pool.ts";
import { unpackHold } from "../../src/metadata/queue-holds.ts";
import { openStore } from "../../src/service/store.ts";
import { temporaryDirectory } from "../support/directories.ts";

/** The files below `directory` that this process has open. */
const openBelow = (directory: string): readonly string[] =>
  readdirSync("/proc/self/fd")
    .map((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`);
      } catch {
        // The directory that was listed.
        return "";
      }
    })
    .filter((path) => path.startsWith(directory));

test("its files are closed at once, whatever statements are kept", async () => {
  await using directory = await temporaryDirectory();
  const config = readConfig({}, { SNAPMILL_STATE_DIR: directory.path });
  const path = paths.database(config);
  mkdirSync(dirname(path), { recursive: true });
  openDatabase(path, { mode: "readwrite" }).drizzle.$client.close(true);
  {
    using database = openStore(config);
    readPool(database);
    unpackHold(database);
    expect(openBelow(directory.path)).toContain(path);
  }
  expect(openBelow(directory.path)).toEqual([]);
});
