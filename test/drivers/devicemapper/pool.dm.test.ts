// Tests thin-pools on the running kernel: creation, loading after a reboot, claims, refusals.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deviceId } from "../../../src/domain/identifiers.ts";
import { createDmsetupControl } from "../../../src/drivers/devicemapper/control/dmsetup.ts";
import { createLibdevmapperControl } from "../../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import { definitionPath } from "../../../src/drivers/devicemapper/pool/definition.ts";
import { transactionIdOf } from "../../../src/drivers/devicemapper/pool/ownership.ts";
import { inspectBlockDevice } from "../../../src/system/block/block-devices.ts";
import { runCommand } from "../../../src/system/process/commands.ts";
import { fails, mebibyte, type PoolFixture, poolFixture } from "./pool-fixture.ts";

setDefaultTimeout(120_000);
/** Long: many tests may share the machine. */
const control = createLibdevmapperControl({ timeoutMs: 150_000 });
afterAll(() => control[Symbol.asyncDispose]());

const makeThin = (fixture: PoolFixture, id: number) =>
  control.message(`${fixture.pool}-pool`, { kind: "create_thin", deviceId: deviceId(id) });

async function write(path: string, text: string): Promise<void> {
  await using file = await open(path, "r+");
  await file.write(text);
  await file.sync();
}

const beginningOf = async (path: string, length: number) => (await readFile(path)).subarray(0, length).toString();

describe("a pool in files", () => {
  test.each([
    ["dmsetup", createDmsetupControl],
    ["libdevmapper", createLibdevmapperControl],
  ])("is made, taken off with its loop devices, and loaded again with its content (%s)", async (_, makeControl) => {
    await using ours = makeControl();
    await using fixture = await poolFixture(ours);
    const made = await fixture.create();
    expect(await made.status()).toMatchObject({
      mode: "rw",
      needsCheck: false,
      transactionId: 0,
      totalDataBlocks: 1024,
    });
    expect(made.path).toBe(`/dev/mapper/${fixture.pool}-pool`);
    expect((await stat(join(fixture.filesDir, "data.img"))).mode & 0o777).toBe(0o600);
    expect(await ours.table(made.deviceName)).toMatchObject({ features: ["error_if_no_space"], blockSectors: 128 });
    await makeThin(fixture, 7);
    await fixture.withDevice(7, async (path) => {
      await write(path, "kept over a reboot");
      expect(await made.close()).toContain(`${fixture.pool}-snap-7 still active`);
    });
    expect(await made.close()).toBeUndefined();
    expect(await fixture.leftovers()).toEqual([]);

    const again = await fixture.load();
    const kept = await fixture.withDevice(7, (path) => beginningOf(path, 18));
    expect(kept).toBe("kept over a reboot");
    // A killed worker leaves the pool loaded; the next worker takes it over as it is.
    await fixture.load();
    expect(await again.close()).toBeUndefined();
    expect(await fixture.leftovers()).toEqual([]);
  });

  test("is made as asked", async () => {
    await using fixture = await poolFixture(control);
    const pool = await fixture.create({ blockBytes: mebibyte, lowWaterBytes: 8 * mebibyte, whenFull: "queue" });
    expect(await control.table(pool.deviceName)).toMatchObject({ blockSectors: 2048, lowWaterBlocks: 8, features: [] });
    expect((await pool.status()).totalDataBlocks).toBe(64);
    expect(JSON.parse(await readFile(definitionPath(fixture.poolDir), "utf8"))).toMatchObject({ whenFull: "queue" });
  });

  test("is not made twice, nor over what is there, nor half", async () => {
    await using fixture = await poolFixture(control);
    await mkdir(fixture.filesDir);
    await writeFile(join(fixture.filesDir, "metadata.img"), "foreign data");
    await fails(fixture.create(), { code: "already_exists" });
    expect(await fixture.files()).toEqual(["files", "files/metadata.img", "pool"]);
    await rm(fixture.filesDir, { recursive: true });

    const deep = { ...fixture.loopback.storage, directory: join(fixture.filesDir, "a", "b") };
    await fails(fixture.create({ storage: deep }, 2 ** 50), { code: "resource_exhausted" });
    expect(await fixture.files()).toEqual(["pool"]);

    await fixture.create();
    await fails(fixture.create(), { code: "already_exists" });
    expect(await (await fixture.load()).close()).toBeUndefined();
    await fails(fixture.create(), "was made before");
    expect(await fixture.files()).toContain("files/data.img");
  });

  test("that was being made by a process that was killed is taken down before the next is made", async () => {
    await using fixture = await poolFixture(control);
    const half = await fixture.create();
    const definition: unknown = JSON.parse(await readFile(definitionPath(fixture.poolDir), "utf8"));
    await rm(definitionPath(fixture.poolDir));
    await writeFile(join(fixture.poolDir, ".new-thin-pool.json"), JSON.stringify({ definition, formats: true }));
    await makeThin(fixture, 1);
    const pool = await fixture.create();
    expect(pool.deviceName).toBe(half.deviceName);
    await makeThin(fixture, 1);
    expect(await fixture.files()).toEqual([
      "files",
      "files/data.img",
      "files/metadata.img",
      "pool",
      "pool/thin-pool.json",
    ]);
  });

  test("is refused where its files or its name are another's, and leaves that alone", async () => {
    await using fixture = await poolFixture(control);
    await using other = await poolFixture(control, fixture.pool);
    await (await fixture.create()).close();
    await other.create();
    await fails(fixture.load(), "it is not this one");
    await fails(fixture.create(), "device-mapper has a device");
    await other.takeOff();

    const data = join(fixture.filesDir, "data.img");
    const loop = (await runCommand("losetup", ["--find", "--show", data])).stdout.trim();
    await fails(fixture.load(), `attached to ${loop} already`);
    await runCommand("losetup", ["--detach", loop]);

    await rename(data, `${data}.away`);
    await fails(fixture.load(), { code: "not_found" });
    await rename(`${data}.away`, data);
    const metadata = join(fixture.filesDir, "metadata.img");
    const { size } = await stat(metadata);
    await rename(metadata, `${metadata}.away`);
    await writeFile(metadata, "");
    await truncate(metadata, size);
    await fails(fixture.load(), "is empty, where the pool's metadata was");
    await writeFile(metadata, Buffer.alloc(size, 7));
    await fails(fixture.load(), "does not begin like a pool's metadata");
    await rename(`${metadata}.away`, metadata);
    await truncate(data, 32 * mebibyte);
    await fails(fixture.load(), "could not be loaded");
    expect(await fixture.leftovers()).toEqual([]);
    await truncate(data, 64 * mebibyte);
    await fixture.load();

    await writeFile(definitionPath(fixture.poolDir), '{"pool": "x"}');
    await fails(fixture.load(), "thin-pool.json is damaged");
    await writeFile(definitionPath(fixture.poolDir), "{");
    await fails(fixture.load(), "it is not JSON");
    await fixture.takeOff();
  });
});

describe("a pool on devices", () => {
  const on = (dataDevice: string, metadataDevice: string) =>
    ({ storage: { kind: "devices", dataDevice, metadataDevice } }) as const;

  test("is made of empty ones, and adopted with its content", async () => {
    await using fixture = await poolFixture(control);
    const data = await fixture.device("data", 64 * mebibyte);
    const metadata = await fixture.device("metadata", 4 * mebibyte);
    const pool = await fixture.create({ ...on(data, metadata), blockBytes: 2 * 65_536 });
    expect((await pool.status()).totalDataBlocks).toBe(512);
    expect(fixture.notices).toContainEqual(expect.stringContaining("another device after a reboot"));
    await makeThin(fixture, 3);
    await fixture.withDevice(3, (path) => write(path, "adopted"));
    await pool.close();
    await (await fixture.load()).close();

    await rm(fixture.poolDir, { recursive: true });
    await fails(fixture.create(on(data, metadata)), { code: "already_exists" });
    const adopted = await fixture.create({ ...on(data, metadata), existing: "adopt" });
    expect(adopted.definition).toEqual(pool.definition);
    expect(await fixture.withDevice(3, (path) => beginningOf(path, 7))).toBe("adopted");
    await adopted.close();

    await rm(fixture.poolDir, { recursive: true });
    await (await fixture.create({ ...on(data, metadata), existing: "wipe" })).close();
    await makeThinFails(fixture);
  });

  /** The content is gone: device 3 can be created again. */
  async function makeThinFails(fixture: PoolFixture): Promise<void> {
    const pool = await fixture.load();
    await makeThin(fixture, 3);
    await pool.close();
  }

  test("is refused for devices that hold something, are in use, are one, or are none", async () => {
    await using fixture = await poolFixture(control);
    const data = await fixture.device("data", 64 * mebibyte);
    const metadata = await fixture.device("metadata", 4 * mebibyte);
    const small = await fixture.device("small", mebibyte);
    const foreign = await fixture.device("foreign", 4 * mebibyte, "foreign data");
    const formatted = await fixture.device("formatted", 32 * mebibyte);
    await runCommand("mkfs.ext4", ["-q", formatted]);
    const file = join(fixture.directory, "data");
    const refusals: readonly (readonly [string, string, string, string])[] = [
      [data, foreign, "failed_precondition", "holds something that is not known"],
      [formatted, metadata, "failed_precondition", "holds ext4"],
      [data, formatted, "failed_precondition", "holds ext4"],
      [data, data, "invalid_argument", "are the same device"],
      [data, small, "invalid_argument", "is too small"],
      [file, metadata, "invalid_argument", "no block device"],
      [`${file}-not`, metadata, "not_found", "no block device at"],
    ];
    for (const [dataDevice, metadataDevice, code, words] of refusals) {
      const refused = fixture.create(on(dataDevice, metadataDevice));
      await fails(refused, { code, message: expect.stringContaining(words) });
    }
    await fails(fixture.create({ ...on(data, metadata), existing: "adopt" }), "nothing to adopt");
    await fails(fixture.create({ ...on(data, metadata), blockBytes: 100_000 }), "64KiB to 1GiB");

    const mountPoint = join(fixture.directory, "mnt");
    await mkdir(mountPoint);
    await runCommand("mount", [formatted, mountPoint]);
    await fails(fixture.create({ ...on(formatted, metadata), existing: "wipe" }), "is in use");
    await runCommand("umount", [mountPoint]);
    expect(existsSync(definitionPath(fixture.poolDir))).toBe(false);
    expect(await readFile(join(fixture.directory, "foreign"), "utf8")).toStartWith("foreign data");
    expect((await inspectBlockDevice(metadata)).sizeBytes).toBe(4 * mebibyte);
    await (await fixture.create({ ...on(data, foreign), existing: "wipe" })).close();
  });
});

describe("a pool is claimed", () => {
  test("when it is fresh, and again; not by another owner, nor by an older database", async () => {
    await using fixture = await poolFixture(control);
    const pool = await fixture.create();
    const claimed = async () => (await pool.status()).transactionId;
    const claim = (owner: number, known: number, next: number) =>
      pool.claim({ owner, takeOver: known }, () => ({ owner, takeOver: next }));
    await claim(5, 1, 2);
    // A database that has claimed the pool asks whether the claim still holds.
    await claim(5, 2, 2);
    expect(await claimed()).toBe(transactionIdOf({ owner: 5, takeOver: 2 }));
    await claim(5, 8, 9);
    await fails(claim(6, 9, 10), "another owner's");
    await fails(
      pool.claim(undefined, () => ({ owner: 5, takeOver: 1 })),
      "this database is new",
    );
    // Not even with a number that would continue the pool's count.
    await fails(claim(5, 8, 9), "older than the pool");
    expect(await claimed()).toBe(transactionIdOf({ owner: 5, takeOver: 9 }));
    // Two concurrent claims see the same number, and only one of them changes it.
    const rivals = [claim(5, 9, 10), claim(5, 9, 11)];
    await Promise.allSettled(rivals);
    expect(await claimed()).toBeGreaterThan(transactionIdOf({ owner: 5, takeOver: 9 }));
  });
});
