// Owns what every control of device-mapper must do: one suite, over a real thin-pool on the running kernel.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { constants, existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { deviceId } from "../../src/domain/identifiers.ts";
import {
  type DmControl,
  DmError,
  type DmTable,
  isDmError,
  type ThinTable,
} from "../../src/drivers/devicemapper/control/control.ts";
import { devicePath } from "../../src/drivers/devicemapper/control/names.ts";
import { makeThinPool, poolTable, type ThinPool } from "../support/thin-pool.ts";
import { until } from "../support/until.ts";

const mebibyte = 2 ** 20;
const dataBytes = 64 * mebibyte;

/** The errno, or else the code, of the failure of `attempt`. */
async function failureOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof DmError) return error.errno;
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
  return "none";
}

/** Writes past the page cache, so that the pool answers at once. */
async function write(path: string, bytes: number): Promise<void> {
  await using file = await open(path, constants.O_WRONLY);
  const chunk = randomBytes(mebibyte);
  for (let written = 0; written < bytes; written += chunk.length) await file.write(chunk);
  await file.sync();
}

interface Options {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** Runs the suite; `makeControl` hands its options on. */
export function describeControl(title: string, makeControl: (options?: Options) => DmControl): void {
  describe(title, () => {
    setDefaultTimeout(60_000);
    let control: DmControl;
    let pool: ThinPool;
    beforeAll(async () => {
      control = makeControl();
      pool = await makeThinPool({ dataBytes }, control);
    });
    afterAll(async () => {
      await pool[Symbol.asyncDispose]();
      expect(await control.list(pool.name)).toEqual([]);
      await control[Symbol.asyncDispose]();
    });

    const nameOf = (device: number) => `${pool.name}-snap-${device}`;
    const thin = (device: number, sectors = 16384): ThinTable => ({
      target: "thin",
      sectors,
      poolDevice: pool.path,
      deviceId: deviceId(device),
    });
    const makeThin = (device: number) =>
      control.message(pool.name, { kind: "create_thin", deviceId: deviceId(device) });
    const unmakeThin = (device: number) => control.message(pool.name, { kind: "delete", deviceId: deviceId(device) });
    async function withDevice(device: number, body: (name: string) => Promise<void>): Promise<void> {
      await makeThin(device);
      await control.create(nameOf(device), thin(device));
      await body(nameOf(device));
      await control.remove(nameOf(device));
      await unmakeThin(device);
    }

    test("versions of the library, the driver and the targets are known", async () => {
      const { library, driver } = await control.version();
      expect([library, driver]).toEqual([expect.stringMatching(/^1\.\d+/), expect.stringMatching(/^4\.\d+/)]);
      const targets = await control.targets();
      expect(targets.get("thin")).toMatch(/^1\.\d+\.\d+$/);
      expect(targets.get("thin-pool")).toMatch(/^1\.\d+\.\d+$/);
    });

    test("a device is created with its node, seen, and removed with its node", async () => {
      await withDevice(1, async (name) => {
        expect(existsSync(devicePath(name))).toBe(true);
        expect(await control.info(name)).toMatchObject({
          name,
          openCount: 0,
          isSuspended: false,
          isReadOnly: false,
          hasLiveTable: true,
          hasInactiveTable: false,
        });
        expect(await control.table(name)).toMatchObject({ target: "thin", sectors: 16384, deviceId: deviceId(1) });
        expect(await control.status(name)).toEqual({ target: "thin", hasFailed: false, mappedSectors: 0 });
        await write(devicePath(name), 2 * mebibyte);
        expect(await control.status(name, { flush: true })).toMatchObject({ mappedSectors: 4096 });
      });
      expect(existsSync(devicePath(nameOf(1)))).toBe(false);
      expect(await control.info(nameOf(1))).toBeUndefined();
    });

    test("the pool tells its table and its state", async () => {
      expect(await control.table(pool.name)).toMatchObject({
        target: "thin-pool",
        sectors: dataBytes / 512,
        blockSectors: 128,
        lowWaterBlocks: 32,
        features: ["error_if_no_space"],
      });
      expect(await control.status(pool.name)).toMatchObject({
        target: "thin-pool",
        mode: "rw",
        needsCheck: false,
        transactionId: 0,
        usedDataBlocks: 0,
        totalDataBlocks: 1024,
        totalMetadataBlocks: 2048,
        heldMetadataRoot: undefined,
      });
    });

    test("devices are listed by the beginning of their names", async () => {
      await withDevice(2, async (name) => {
        expect((await control.list(pool.name)).map((device) => device.name).sort()).toEqual([pool.name, name]);
        expect((await control.list(`${pool.name}-snap-`)).map((device) => device.name)).toEqual([name]);
        expect(await control.list("no-device-begins-so")).toEqual([]);
      });
    });

    test("a snapshot shares its origin's blocks", async () => {
      await withDevice(3, async (name) => {
        await write(devicePath(name), mebibyte);
        await control.suspend(name);
        expect(await control.info(name)).toMatchObject({ isSuspended: true });
        await control.message(pool.name, { kind: "create_snap", deviceId: deviceId(4), originId: deviceId(3) });
        await control.resume(name);
        expect(await control.info(name)).toMatchObject({ isSuspended: false });
        await control.create(nameOf(4), thin(4));
        expect(await control.status(nameOf(4))).toMatchObject({ mappedSectors: 2048 });
        expect(await control.status(pool.name)).toMatchObject({ usedDataBlocks: 16 });
        await control.remove(nameOf(4));
        await unmakeThin(4);
      });
    });

    test("a device can be suspended without freezing, and without flushing", async () => {
      await withDevice(5, async (name) => {
        for (const options of [{ lockFs: false }, { flush: false, lockFs: false }]) {
          await control.suspend(name, options);
          expect(await control.info(name)).toMatchObject({ isSuspended: true });
          await control.resume(name);
        }
      });
    });

    test("reload and resume make a device grow", async () => {
      await withDevice(6, async (name) => {
        await control.reload(name, thin(6, 32768));
        expect(await control.info(name)).toMatchObject({ hasInactiveTable: true });
        expect(await control.table(name)).toMatchObject({ sectors: 16384 });
        await control.suspend(name);
        await control.resume(name);
        expect(await control.info(name)).toMatchObject({ hasInactiveTable: false });
        expect(await control.table(name)).toMatchObject({ sectors: 32768 });
      });
    });

    test("names with odd characters are kept, and have a node", async () => {
      await makeThin(7);
      for (const end of ["-#+.:=@_ näme*\n", "-\\x20"]) {
        const name = pool.name + end;
        await control.create(name, thin(7));
        expect(existsSync(devicePath(name))).toBe(true);
        expect((await control.list(`${pool.name}-`)).map((device) => device.name)).toEqual([name]);
        expect(await control.status(name)).toMatchObject({ target: "thin" });
        await control.remove(name);
        expect(existsSync(devicePath(name))).toBe(false);
      }
      await unmakeThin(7);
    });

    test("names that no device can have are refused", async () => {
      for (const name of ["", "a/b", "..", "x".repeat(128)]) {
        expect(await failureOf(control.create(name, thin(1)))).toBe("invalid_argument");
        expect(await failureOf(control.remove(name))).toBe("invalid_argument");
      }
    });

    describe("the kernel's refusal comes by its errno:", () => {
      test("EBUSY for an open device, which goes at its last close when that is asked", async () => {
        await makeThin(8);
        const name = nameOf(8);
        await control.create(name, thin(8));
        {
          await using _ = await open(devicePath(name), constants.O_RDONLY);
          expect(await control.info(name)).toMatchObject({ openCount: 1 });
          expect(await failureOf(control.remove(name))).toBe("EBUSY");
          expect(await failureOf(unmakeThin(8))).toBe("EBUSY");
          await control.remove(name, { deferred: true });
          expect(await control.info(name)).toMatchObject({ openCount: 1 });
        }
        expect(await control.info(name)).toBeUndefined();
        // Its name is gone at once; the kernel lets go of the thin device in a thread of its own.
        await untilDone(() => unmakeThin(8));
      });

      test("ENXIO for a device that is missing, which information and table only call undefined", async () => {
        const none = nameOf(999);
        expect(await control.info(none)).toBeUndefined();
        expect(await control.table(none)).toBeUndefined();
        const attempts = [
          control.status(none),
          control.remove(none),
          control.remove(none, { deferred: true }),
          control.suspend(none),
          control.resume(none),
          control.reload(none, thin(1)),
          control.message(none, { kind: "reserve_metadata_snap" }),
        ];
        expect(await Promise.all(attempts.map(failureOf))).toEqual(attempts.map(() => "ENXIO"));
      });

      test("ENODATA for a device ID that is missing, and nothing is left of the device made for it", async () => {
        expect(await failureOf(unmakeThin(998))).toBe("ENODATA");
        expect(
          await failureOf(
            control.message(pool.name, { kind: "create_snap", deviceId: deviceId(997), originId: deviceId(998) }),
          ),
        ).toBe("ENODATA");
        expect(await failureOf(control.create(nameOf(998), thin(998)))).toBe("ENODATA");
        expect(await control.info(nameOf(998))).toBeUndefined();
      });

      test("EEXIST for a device ID that is taken, EBUSY or EEXIST for a name that is", async () => {
        await withDevice(9, async (name) => {
          expect(await failureOf(makeThin(9))).toBe("EEXIST");
          expect(await failureOf(control.create(name, thin(9)))).toMatch(/^(EBUSY|EEXIST)$/);
          expect(await control.table(name)).toMatchObject({ deviceId: deviceId(9) });
        });
      });

      test("EINVAL for a transaction ID that is another", async () => {
        await control.message(pool.name, { kind: "set_transaction_id", from: 0, to: 41 });
        expect(await control.status(pool.name)).toMatchObject({ transactionId: 41 });
        expect(await failureOf(control.message(pool.name, { kind: "set_transaction_id", from: 0, to: 1 }))).toBe(
          "EINVAL",
        );
        await control.message(pool.name, { kind: "set_transaction_id", from: 41, to: 0 });
      });

      test("ENODEV for a table over a device that is missing", async () => {
        const table: DmTable = { ...thin(1), poolDevice: "/dev/mapper/no-such-pool" };
        expect(await failureOf(control.create(nameOf(10), table))).toBe("ENODEV");
        expect(await control.info(nameOf(10))).toBeUndefined();
      });
    });

    test("a metadata snapshot is held until it is released", async () => {
      await control.message(pool.name, { kind: "reserve_metadata_snap" });
      expect(await control.status(pool.name)).toMatchObject({ heldMetadataRoot: expect.any(Number) });
      expect(await failureOf(control.message(pool.name, { kind: "reserve_metadata_snap" }))).toBe("EBUSY");
      await control.message(pool.name, { kind: "release_metadata_snap" });
      expect(await control.status(pool.name)).toMatchObject({ heldMetadataRoot: undefined });
    });

    test("a full pool is out of data space until it has grown", async () => {
      await makeThin(11);
      const name = nameOf(11);
      await control.create(name, thin(11, (2 * dataBytes) / 512));
      expect(await failureOf(write(devicePath(name), 2 * dataBytes))).toMatch(/^(ENOSPC|EIO)$/);
      const full = await control.status(pool.name);
      expect(full).toMatchObject({ mode: "out_of_data_space", usedDataBlocks: 1024, totalDataBlocks: 1024 });

      await pool.growData(2 * dataBytes);
      await control.reload(pool.name, poolTable(pool, { dataBytes: 2 * dataBytes }));
      await control.suspend(pool.name);
      await control.resume(pool.name);
      expect(await control.status(pool.name)).toMatchObject({ mode: "rw", totalDataBlocks: 2048 });
      expect((await control.info(pool.name))?.eventNumber).toBeGreaterThan(0);
      await control.remove(name);
      await unmakeThin(11);
    });

    test("many calls at once do not disturb each other", async () => {
      const devices = Array.from({ length: 4 }, (_, index) => 20 + index);
      await Promise.all(devices.map(makeThin));
      await Promise.all(devices.map((device) => control.create(nameOf(device), thin(device))));
      const tables = await Promise.all(devices.map((device) => control.table(nameOf(device))));
      expect(tables.map((table) => table?.target === "thin" && Number(table.deviceId))).toEqual(devices);
      await Promise.all(devices.map((device) => control.remove(nameOf(device))));
      await Promise.all(devices.map(unmakeThin));
    });

    test("a call that hangs in the kernel is given up, and one cancelled too: their effect is unknown", async () => {
      // A pool whose metadata lies on a device of the first: suspended, it answers nothing.
      await Promise.all([makeThin(30), makeThin(31)]);
      const [data, metadata] = [nameOf(30), nameOf(31)];
      await control.create(data, thin(30));
      await control.create(metadata, thin(31));
      const inner = `${pool.name}-inner`;
      const table: DmTable = {
        ...pool.table,
        sectors: 16384,
        metadataDevice: devicePath(metadata),
        dataDevice: devicePath(data),
      };
      await control.create(inner, table);
      await control.suspend(metadata);

      const cancel = new AbortController();
      await using cancelled = makeControl({ signal: cancel.signal });
      await using hurried = makeControl({ timeoutMs: 2000 });
      const message = { kind: "create_thin", deviceId: deviceId(1) } as const;
      const attempts = [
        hurried.message(inner, message),
        cancelled.message(inner, { ...message, deviceId: deviceId(2) }),
      ];
      setTimeout(() => cancel.abort(), 1500);
      const [late, stopped] = await Promise.all(attempts.map(failureOf));
      expect(late).toBe("deadline_exceeded");
      expect(stopped).toMatch(/^(aborted|deadline_exceeded)$/);
      expect(await failureOf(cancelled.info(inner))).toBe("aborted");

      await control.resume(metadata);
      await untilDone(() => control.remove(inner));
      for (const name of [data, metadata]) await control.remove(name);
      for (const device of [30, 31]) await unmakeThin(device);
    });
  });
}

/** A request that was given up goes on in the kernel for a while, and holds the device. */
async function untilDone(attempt: () => Promise<void>): Promise<void> {
  const look = () =>
    attempt().then(
      () => "done",
      (error: unknown) => {
        if (isDmError(error, "EBUSY")) return error;
        throw error;
      },
    );
  await until("the device is free", look, (outcome) => outcome === "done");
}
