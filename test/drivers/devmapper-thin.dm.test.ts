// Tests what only the devmapper driver has: contents by ID, the number of its calls, suspended origins, discards.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceRef } from "../../src/domain/devices.ts";
import { type DeviceId, deviceName } from "../../src/domain/identifiers.ts";
import { type DmControl, DmError } from "../../src/drivers/devicemapper/control/control.ts";
import { metadataDeviceOf, PoolContents } from "../../src/drivers/devicemapper/pool/contents.ts";
import { poolDeviceName, readDefinition } from "../../src/drivers/devicemapper/pool/definition.ts";
import type { Driver } from "../../src/drivers/port.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { rejects } from "../conformance/driver-fixture.ts";
import { type ControlName, controls, mebibyte, type ThinTestPool, thinPool } from "./thin-test-pool.ts";

setDefaultTimeout(300_000);

/** Every call of a control that goes to the kernel, by its name; `fail` may throw in a call's place. */
interface Tapped {
  readonly calls: string[];
  fail: (verb: string, args: readonly unknown[]) => void;
  connect: () => DmControl;
}

function tapped(name: ControlName): Tapped {
  const tap: Tapped = {
    calls: [],
    fail: () => undefined,
    connect: () =>
      new Proxy(controls[name](), {
        get(target, property) {
          const value: unknown = Reflect.get(target, property);
          if (typeof value !== "function" || typeof property !== "string") return value;
          return async (...args: unknown[]) => {
            tap.calls.push(property);
            tap.fail(property, args);
            return (await value.apply(target, args)) as unknown;
          };
        },
      }),
  };
  return tap;
}

const describeEach = describe.each<[ControlName]>([["libdevmapper"], ["dmsetup"]]);

describeEach("thin devices through %s", (name) => {
  const tap = tapped(name);
  let testPool: ThinTestPool;
  let driver: Driver;
  beforeAll(async () => {
    testPool = await thinPool(name, { connect: tap.connect, discardBlocks: true });
    driver = testPool.connect();
    await driver.open();
  });
  afterAll(async () => {
    await driver.close();
    await testPool[Symbol.asyncDispose]();
  });

  const device = (serial: number): DeviceRef => ({
    deviceId: serial as DeviceId,
    deviceName: deviceName(testPool.pool, serial),
    sizeBytes: 64 * mebibyte,
  });
  const pathOf = (one: DeviceRef) => driver.devicePath(one.deviceName);
  const fill = (one: DeviceRef, mebibytes: number) =>
    runCommand("dd", ["if=/dev/urandom", `of=${pathOf(one)}`, "bs=1M", `count=${mebibytes}`, "conv=fsync"]);
  const callsOf = async (action: () => Promise<unknown>): Promise<string[]> => {
    tap.calls.length = 0;
    await action();
    return [...tap.calls];
  };
  const isSuspended = async (one: DeviceRef) => (await testPool.control.info(one.deviceName))?.isSuspended;

  test("each verb makes as few calls as can be", async () => {
    const [origin, child] = [device(1), device(2)];
    expect(await callsOf(() => driver.create(origin))).toEqual(["message"]);
    expect(await callsOf(() => driver.snapshot(origin, child))).toEqual(["message"]);
    expect(await callsOf(() => driver.activate(child))).toEqual(["create"]);
    await fill(child, 1);
    expect(await callsOf(() => driver.flush(child))).toEqual(["status"]);
    expect(await callsOf(() => driver.usedBytes(child))).toEqual([]);
    expect(await callsOf(() => driver.deactivate(child))).toEqual(["remove"]);
    expect(await callsOf(() => driver.deactivate(child))).toEqual([]);
    expect(await callsOf(() => driver.usedBytes(child))).toEqual([]);
    expect(await driver.usedBytes(child)).toBe(mebibyte);
    expect(await callsOf(() => driver.delete(device(9)))).toEqual([]);
    await driver.delete(child);
    await driver.delete(origin);
  });

  test("an active origin is suspended for the moment of the snapshot, and never left so", async () => {
    const [origin, child] = [device(3), device(4)];
    await driver.create(origin);
    await driver.activate(origin);
    expect(await callsOf(() => driver.snapshot(origin, child))).toEqual(["suspend", "message", "resume"]);
    tap.fail = (verb) => {
      if (verb === "message") throw new DmError("EIO", "input/output error");
    };
    await rejects(driver.snapshot(origin, device(5)), "internal", device(5).deviceName);
    expect(await isSuspended(origin)).toBe(false);
    let refusals = 2;
    tap.fail = (verb) => {
      if (verb === "resume" && refusals-- > 0) throw new DmError("EINTR", "interrupted");
    };
    await driver.snapshot(origin, device(5));
    tap.fail = () => undefined;
    expect(await isSuspended(origin)).toBe(false);
    for (const one of [origin, child, device(5)]) await driver.delete(one);
  });

  test("what a process left half-done is put right by the next one", async () => {
    const [left, begun] = [device(6), device(7)];
    await driver.create(left);
    await driver.create(begun);
    await driver.activate(left);
    await testPool.control.suspend(left.deviceName);
    await runCommand("dmsetup", ["create", begun.deviceName, "--notable"]);
    await testPool.control.message(poolDeviceName(testPool.pool), { kind: "reserve_metadata_snap" });
    driver = testPool.connect();
    await driver.open();
    expect(await isSuspended(left)).toBe(false);
    expect(await testPool.control.info(begun.deviceName)).toBeUndefined();
    expect(await driver.list([left, begun])).toMatchObject([
      { deviceName: left.deviceName, inPool: true, active: true },
      { deviceName: begun.deviceName, inPool: true, active: false },
    ]);
    await driver.activate(begun);
    for (const one of [left, begun]) await driver.delete(one);
  });

  test("a command that came through late is met: the name or the ID is taken, and the goal is reached", async () => {
    const late = device(8);
    await driver.create(late);
    const table = { target: "thin", sectors: 131072, poolDevice: `/dev/mapper/${testPool.pool}-pool` } as const;
    await testPool.control.create(late.deviceName, { ...table, deviceId: late.deviceId });
    await driver.activate(late);
    await fill(late, 1);
    // The next process, which finds another thin device's ID behind the name.
    await driver.deactivate(late);
    await testPool.control.message(`${testPool.pool}-pool`, { kind: "create_thin", deviceId: 80 as DeviceId });
    await testPool.control.create(late.deviceName, { ...table, deviceId: 80 as DeviceId });
    await driver.activate(late);
    expect((await testPool.control.table(late.deviceName)) as object).toMatchObject({ deviceId: late.deviceId });
    await driver.delete(late);
    await driver.delete(device(80));
  });

  test("content under an unknown ID is found without a name, an activation under an unknown name as one", async () => {
    const [known, nameless] = [device(10), device(11)];
    await driver.create(known);
    await driver.create(nameless);
    const table = { target: "thin", sectors: 131072, poolDevice: `/dev/mapper/${testPool.pool}-pool` } as const;
    const stray = deviceName(testPool.pool, 77);
    await testPool.control.create(stray, { ...table, deviceId: known.deviceId });
    const found = await driver.list([known]);
    expect(found).toEqual([
      { deviceName: known.deviceName, deviceId: known.deviceId, inPool: true, active: false },
      { deviceName: stray, deviceId: known.deviceId, inPool: false, active: true },
      { deviceName: undefined, deviceId: nameless.deviceId, inPool: true, active: false },
    ]);
    await driver.deactivate({ ...known, deviceName: stray });
    for (const one of [known, nameless]) await driver.delete(one);
    expect(await driver.list()).toEqual([]);
  });

  test("a device that is open is not discarded; once it is closed its blocks go back to the pool's file", async () => {
    const one = device(12);
    const file = join(testPool.options.poolDir, "data.img");
    await driver.create(one);
    await driver.activate(one);
    const before = statSync(file).blocks;
    await fill(one, 32);
    const start = await Bun.file(pathOf(one)).slice(0, 4096).bytes();
    {
      await using _opened = await open(pathOf(one), "r");
      await rejects(driver.delete(one), "failed_precondition", one.deviceName);
    }
    expect(await Bun.file(pathOf(one)).slice(0, 4096).bytes()).toEqual(start);
    expect(statSync(file).blocks - before).toBeGreaterThan(60_000);
    await driver.delete(one);
    expect(statSync(file).blocks - before).toBeLessThan(10_000);
    expect(await driver.list()).toEqual([]);
  });
});

describe("the contents of a pool", () => {
  test("are read as thin_ls reads them, in a tree of several levels, and while it changes all the time", async () => {
    await using testPool = await thinPool("libdevmapper");
    const driver = testPool.connect();
    await driver.open();
    await using control = controls.libdevmapper();
    const pool = poolDeviceName(testPool.pool);
    for (let id = 0; id < 400; id++)
      await control.message(pool, { kind: "create_thin", deviceId: (id * 7) as DeviceId });
    const written = { deviceId: 21 as DeviceId, deviceName: deviceName(testPool.pool, 21), sizeBytes: 64 * mebibyte };
    await driver.activate(written);
    await runCommand("dd", [
      "if=/dev/zero",
      `of=${driver.devicePath(written.deviceName)}`,
      "bs=1M",
      "count=3",
      "conv=fsync",
    ]);

    const path = (await metadataDeviceOf((await readDefinition(testPool.options.poolDir)) ?? fail())) ?? fail();
    const contents = new PoolContents(path, { control, poolDevice: pool });
    await control.message(pool, { kind: "reserve_metadata_snap" });
    const { stdout } = await runCommand("thin_ls", ["-m", "--no-headers", "-o", "DEV,MAPPED_BYTES", path]);
    await control.message(pool, { kind: "release_metadata_snap" });
    const expected = stdout
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number));
    expect(expected).toHaveLength(400);
    expect([...(await contents.all())]).toEqual(expected.map(([id]) => id as DeviceId));
    for (const [id, bytes] of expected.filter((_, index) => index % 37 === 3))
      expect(await contents.mappedBytes(id as DeviceId)).toBe(bytes);
    expect(await contents.mappedBytes(22 as DeviceId)).toBeUndefined();

    let isDone = false;
    const restless = async () => {
      while (!isDone) {
        await control.message(pool, { kind: "create_thin", deviceId: 100_000 as DeviceId });
        await control.message(pool, { kind: "delete", deviceId: 100_000 as DeviceId });
      }
    };
    const unrest = restless();
    for (let look = 0; look < 20; look++) {
      const seen = new Set(await contents.all());
      seen.delete(100_000 as DeviceId);
      expect(seen.size).toBe(400);
      expect(await contents.mappedBytes(written.deviceId)).toBe(3 * mebibyte);
    }
    isDone = true;
    await unrest;
    await driver.close();
  });
});

const fail = (): never => {
  throw new Error("the pool has no definition, or its metadata is not attached");
};
