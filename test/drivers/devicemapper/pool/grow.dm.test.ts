// Tests the growth of a thin-pool on the running kernel, and the reports of a failing pool.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { open, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { deviceId } from "../../../../src/domain/identifiers.ts";
import { createLibdevmapperControl } from "../../../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import { readDefinition } from "../../../../src/drivers/devicemapper/pool/definition.ts";
import { poolTable } from "../../../../src/drivers/devicemapper/pool/geometry.ts";
import { reportOnPool } from "../../../../src/drivers/devicemapper/pool/status.ts";
import { attachStorage } from "../../../../src/drivers/devicemapper/pool/storage.ts";
import { attachLoop, updateLoopCapacity } from "../../../../src/system/block/loop.ts";
import { runCommand } from "../../../../src/system/process/commands.ts";
import { markForCheck } from "../../../support/thin-metadata.ts";
import { fails, mebibyte, type PoolFixture, poolFixture } from "../pool-fixture.ts";

setDefaultTimeout(300_000);
/** Long: many tests may share the machine. */
const control = createLibdevmapperControl({ timeoutMs: 150_000 });
afterAll(() => control[Symbol.asyncDispose]());

const makeThin = (fixture: PoolFixture, id: number) =>
  control.message(`${fixture.pool}-pool`, { kind: "create_thin", deviceId: deviceId(id) });

async function write(path: string, bytes: number, content: string): Promise<void> {
  await using file = await open(path, "r+");
  for (let offset = 0; offset < bytes; offset += mebibyte) {
    await file.write(Buffer.alloc(mebibyte, content), 0, mebibyte, offset);
  }
  await file.sync();
}

const inFiles = (fixture: PoolFixture, dataBytes: number, metadataBytes: number) =>
  ({ storage: { kind: "loopback", directory: fixture.filesDir, dataBytes, metadataBytes } }) as const;

/** The definition on disk. */
async function definitionIn(fixture: PoolFixture) {
  const definition = await readDefinition(fixture.poolDir);
  if (definition === undefined) throw new Error("no definition was written");
  return definition;
}

describe("a pool that grows", () => {
  test("in files keeps what is on it, and what is open; never shrinks", async () => {
    await using fixture = await poolFixture(control);
    const pool = await fixture.create(inFiles(fixture, 4 * mebibyte, 2 * mebibyte));
    await pool.claim(undefined, () => ({ owner: 3, takeOver: 4 }));
    await makeThin(fixture, 1);
    await fixture.withDevice(1, async (path) => {
      await write(path, 2 * mebibyte, "kept");
      await pool.grow({ dataBytes: 64 * mebibyte, metadataBytes: 8 * mebibyte });
      expect(await pool.status()).toMatchObject({ mode: "rw", totalDataBlocks: 1024, totalMetadataBlocks: 2048 });
      // More than fitted before.
      await write(path, 6 * mebibyte, "kept");
      expect((await readFile(path)).subarray(0, 6 * mebibyte)).toEqual(Buffer.alloc(6 * mebibyte, "kept"));
    });
    expect((await definitionIn(fixture)).lowWaterBlocks).toBe(103);
    await fails(pool.grow({ dataBytes: 32 * mebibyte }), "it only grows");
    await fails(pool.grow({ metadataBytes: 3 * mebibyte + 1 }), "whole blocks of 4096");
    await pool.close();
    const seen = await reportOnPool(control, await definitionIn(fixture));
    expect(seen).toMatchObject({ isLoaded: false, mode: null, trouble: null, owner: { owner: 3, takeOver: 4 } });
    expect([seen.data.totalBytes, seen.metadata.totalBytes]).toEqual([64 * mebibyte, 8 * mebibyte]);
    expect(await (await fixture.load()).status()).toMatchObject({ totalDataBlocks: 1024, totalMetadataBlocks: 2048 });
  });

  test("on devices takes what they have become", async () => {
    await using fixture = await poolFixture(control);
    const dataDevice = await fixture.device("data", 4 * mebibyte);
    const metadataDevice = await fixture.device("metadata", 2 * mebibyte);
    const pool = await fixture.create({ storage: { kind: "devices", dataDevice, metadataDevice } });
    await fails(pool.grow({ dataBytes: 8 * mebibyte }), "lvextend");
    await truncate(join(fixture.directory, "data"), 16 * mebibyte);
    await updateLoopCapacity(dataDevice);
    await pool.grow({});
    expect(await pool.status()).toMatchObject({ totalDataBlocks: 256, totalMetadataBlocks: 512 });
    await truncate(join(fixture.directory, "metadata"), 4 * mebibyte);
    await updateLoopCapacity(metadataDevice);
    await pool.grow({});
    expect(await pool.status()).toMatchObject({ totalDataBlocks: 256, totalMetadataBlocks: 1024 });
    await pool.close();
  });

  test("and was interrupted is whole when it is loaded again", async () => {
    await using fixture = await poolFixture(control);
    const pool = await fixture.create(inFiles(fixture, 4 * mebibyte, 2 * mebibyte));
    await control.suspend(pool.deviceName, { lockFs: false, flush: false });
    expect((await (await fixture.load()).status()).mode).toBe("rw");
    expect(await control.info(pool.deviceName)).toMatchObject({ isSuspended: false });
    await pool.close();
    await truncate(join(fixture.filesDir, "data.img"), 8 * mebibyte);
    expect((await (await fixture.load()).status()).totalDataBlocks).toBe(128);
  });
});

describe("a pool in trouble", () => {
  test("that is full fails writes at once, is still loaded, and grows out of it", async () => {
    await using fixture = await poolFixture(control);
    const pool = await fixture.create(inFiles(fixture, mebibyte, 2 * mebibyte));
    await makeThin(fixture, 1);
    await fixture.withDevice(1, async (path) => {
      await fails(write(path, 4 * mebibyte, "x"));
    });
    expect(await pool.status()).toMatchObject({ mode: "out_of_data_space", usedDataBlocks: 16, totalDataBlocks: 16 });
    await (await fixture.load()).grow({ dataBytes: 16 * mebibyte });
    expect((await pool.status()).mode).toBe("rw");
    await fixture.withDevice(1, (path) => write(path, 4 * mebibyte, "y"));
    expect((await pool.status()).usedDataBlocks).toBe(64);
  });

  test("whose metadata is full says so, and grows out of it", async () => {
    await using fixture = await poolFixture(control);
    const pool = await fixture.create(inFiles(fixture, 16 * mebibyte, 2 * mebibyte));
    let devices = 0;
    const fill = async () => {
      while (devices < 1000) await makeThin(fixture, devices++);
    };
    await fails(fill(), "not supported");
    const { mode, needsCheck, usedMetadataBlocks, totalMetadataBlocks } = await pool.status();
    expect([mode, needsCheck, usedMetadataBlocks]).toEqual(["ro", false, totalMetadataBlocks]);
    await fails(fixture.load(), `its metadata is full; 'snapmill pool grow ${fixture.pool}' makes room`);
    await (await fixture.load({ toGrow: true })).grow({ metadataBytes: 8 * mebibyte });
    expect((await pool.status()).mode).toBe("rw");
    await makeThin(fixture, devices);
    await fixture.load();
  });

  test("that is read-only is refused, with the way out", async () => {
    await using fixture = await poolFixture(control);
    await (await fixture.create()).close();
    const definition = await definitionIn(fixture);
    {
      await using storage = await attachStorage(definition.storage);
      const devices = {
        dataDevice: storage.data.path,
        metadataDevice: storage.metadata.path,
        dataBytes: storage.data.sizeBytes,
      };
      await control.create(`${fixture.pool}-pool`, { ...poolTable(definition, devices), features: ["read_only"] });
    }
    await fails(fixture.load(), "is read-only; load it again");
    expect(await control.info(`${fixture.pool}-pool`)).toBeDefined();
    await fixture.takeOff();
    await fixture.load();
  });

  test("that must be checked is refused and taken off again; the way out in the message works", async () => {
    await using fixture = await poolFixture(control);
    const made = await fixture.create();
    await makeThin(fixture, 5);
    await made.close();
    const metadata = join(fixture.filesDir, "metadata.img");
    await markForCheck(metadata);
    expect(await reportOnPool(control, await definitionIn(fixture))).toMatchObject({ needsCheck: true });
    const clear = `thin_check --clear-needs-check-flag ${metadata}`;
    await fails(fixture.load(), clear);
    expect(await fixture.leftovers()).toEqual([]);
    await onLoop(metadata, (loop) => runCommand("thin_check", ["--clear-needs-check-flag", loop]));
    const pool = await fixture.load();
    expect((await pool.status()).mode).toBe("rw");
    await fails(makeThin(fixture, 5), { errno: "EEXIST" });
  });
});

/** The metadata tools read past the page cache, which tmpfs does not support. */
async function onLoop(file: string, body: (loop: string) => Promise<unknown>): Promise<void> {
  await using loop = await attachLoop(file);
  await body(loop.path);
}
