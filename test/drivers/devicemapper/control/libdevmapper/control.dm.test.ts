import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { deviceId } from "../../../../../src/domain/identifiers.ts";
import { type DmControl, isDmError, type ThinTable } from "../../../../../src/drivers/devicemapper/control/control.ts";
import { Libdevmapper, LibdevmapperError } from "../../../../../src/drivers/devicemapper/control/libdevmapper/calls.ts";
import { createLibdevmapperControl } from "../../../../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import { devicePath } from "../../../../../src/drivers/devicemapper/control/names.ts";
import { describeControl } from "../../../../conformance/dm-controls.ts";
import { makeThinPool, type ThinPool } from "../../../../support/thin-pool.ts";
import { until } from "../../../../support/until.ts";

describeControl("device-mapper controlled by libdevmapper", createLibdevmapperControl);

describe("libdevmapper in a thread", () => {
  setDefaultTimeout(120_000);
  let control: DmControl;
  let pool: ThinPool;
  beforeAll(async () => {
    control = createLibdevmapperControl();
    pool = await makeThinPool({}, control);
  });
  afterAll(async () => {
    await pool[Symbol.asyncDispose]();
    await control[Symbol.asyncDispose]();
  });

  const nameOf = (device: number) => `${pool.name}-snap-${device}`;
  const thin = (device: number): ThinTable => ({
    target: "thin",
    sectors: 16384,
    poolDevice: pool.path,
    deviceId: deviceId(device),
  });
  const makeThin = async (device: number) => {
    await control.message(pool.name, { kind: "create_thin", deviceId: deviceId(device) });
    await control.create(nameOf(device), thin(device));
    return nameOf(device);
  };
  const unmakeThin = async (device: number) => {
    await control.remove(nameOf(device));
    await control.message(pool.name, { kind: "delete", deviceId: deviceId(device) });
  };
  const errnoOf = (attempt: Promise<unknown>) =>
    attempt.then(
      () => "none",
      (error: unknown) => (isDmError(error, "ENODATA", "EEXIST", "ENXIO", "EBUSY") ? error.errno : String(error)),
    );

  test("5,000 calls get the right errno each, and leave neither memory nor descriptors behind", async () => {
    await makeThin(1);
    using library = new Libdevmapper();
    const errnoThrown = (call: () => unknown) => {
      try {
        call();
        return "none";
      } catch (error) {
        return error instanceof LibdevmapperError ? error.errno : String(error);
      }
    };
    const target = { sectors: 16384, target: "thin", parameters: `${pool.path} 1` };
    const round = () => [
      errnoThrown(() => library.message(pool.name, "delete 999")),
      errnoThrown(() => library.info(nameOf(1))),
      errnoThrown(() => library.message(pool.name, "create_thin 1")),
      errnoThrown(() => library.status(pool.name, false)),
      errnoThrown(() => library.resume("no-such-device")),
      errnoThrown(() => library.table(nameOf(1))),
      errnoThrown(() => library.create(nameOf(1), target)),
      errnoThrown(() => library.reload(nameOf(1), target)),
      errnoThrown(() => library.list(pool.name)),
      errnoThrown(() => library.remove("no-such-device", false)),
    ];
    const expected = ["ENODATA", "none", "EEXIST", "none", "ENXIO", "none", "EBUSY", "none", "none", "ENXIO"];
    const openFiles = () => readdirSync("/proc/self/fd").length;
    for (let turn = 0; turn < 50; turn++) expect(round()).toEqual(expected);
    Bun.gc(true);
    const before = { bytes: process.memoryUsage.rss(), openFiles: openFiles() };
    for (let turn = 0; turn < 5000 / expected.length; turn++) expect(round()).toEqual(expected);
    Bun.gc(true);
    // The library has a buffer of 16 KiB per call: a leak would amount to 80 MiB.
    expect(process.memoryUsage.rss() - before.bytes).toBeLessThan(40 * 2 ** 20);
    expect(openFiles()).toBeLessThanOrEqual(before.openFiles);
    await unmakeThin(1);
  });

  test("100 calls through the thread get the right errno each", async () => {
    await makeThin(1);
    for (let turn = 0; turn < 25; turn++) {
      const calls = [
        control.message(pool.name, { kind: "delete", deviceId: deviceId(999) }),
        control.message(pool.name, { kind: "create_thin", deviceId: deviceId(1) }),
        control.status(nameOf(1)),
        control.resume("no-such-device"),
      ];
      expect(await Promise.all(calls.map(errnoOf))).toEqual(["ENODATA", "EEXIST", "none", "ENXIO"]);
    }
    await unmakeThin(1);
  });

  test("a call that the kernel holds stops neither this thread nor another control, and ends well", async () => {
    const [data, metadata] = [await makeThin(2), await makeThin(3)];
    const inner = `${pool.name}-inner`;
    const devices = { metadataDevice: devicePath(metadata), dataDevice: devicePath(data) };
    await control.create(inner, { ...pool.table, ...devices, sectors: 16384 });
    await using other = createLibdevmapperControl();
    await other.info(inner);
    await control.suspend(metadata);

    let hasEnded = false;
    const held = other.message(inner, { kind: "create_thin", deviceId: deviceId(1) }).finally(() => {
      hasEnded = true;
    });
    for (let turn = 0; turn < 10; turn++) {
      await Bun.sleep(20);
      expect(await control.info(metadata)).toMatchObject({ isSuspended: true });
    }
    expect(hasEnded).toBe(false);
    await control.resume(metadata);
    await held;
    expect(hasEnded).toBe(true);

    await control.remove(inner);
    for (const device of [2, 3]) await unmakeThin(device);
  });

  test("after a call that was given up, the next is answered by another thread", async () => {
    const [data, metadata] = [await makeThin(4), await makeThin(5)];
    const inner = `${pool.name}-inner`;
    const devices = { metadataDevice: devicePath(metadata), dataDevice: devicePath(data) };
    await control.create(inner, { ...pool.table, ...devices, sectors: 16384 });
    await using hurried = createLibdevmapperControl({ timeoutMs: 2000 });
    await control.suspend(metadata);
    const message = { kind: "create_thin", deviceId: deviceId(1) } as const;
    expect(await errnoOf(hurried.message(inner, message))).toMatch(/did not end within 2000 ms; its effect is unknown/);
    // On a busy machine, a new thread may need several attempts.
    const isInTime = (errno: string) => !errno.includes("did not end within");
    expect(await until("a thread answers", () => errnoOf(hurried.info(metadata)), isInTime)).toBe("none");
    await control.resume(metadata);
    // The kernel still completes the call that was given up; until then the pool is held open.
    const deletion = { kind: "delete", deviceId: deviceId(1) } as const;
    const isDone = (errno: string) => errno === "none";
    await until("the thin device is deleted", () => errnoOf(control.message(inner, deletion)), isDone);
    await until("the pool is removed", () => errnoOf(control.remove(inner)), isDone);
    for (const device of [4, 5]) await unmakeThin(device);
  });
});
