// Tests the records of devices: numbers that are never used twice, device IDs that are used again only when it is safe.
import { describe, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { deviceName, maxDeviceId, poolName, scope, snapshotKey } from "../../src/domain/identifiers.ts";
import {
  countDevicesByState,
  dropDevice,
  findDevice,
  findTemplate,
  insertDevice,
  isForeign,
  lastDeviceNumber,
  listDevices,
  listDevicesInState,
  recordForeign,
  setDeviceState,
} from "../../src/metadata/devices.ts";
import { commitSnapshot, insertSnapshot } from "../../src/metadata/snapshot-changes.ts";
import { addActive, addCommitted, anOperation, newDevice, temporaryDatabase, testScope } from "./support.ts";

describe("a device", () => {
  test("is recorded as being created, by whom, with a name of its pool", () => {
    using database = temporaryDatabase();
    const operationId = anOperation();
    const device = insertDevice(database, { fsType: "xfs", sizeBytes: 4096, operationId });
    expect(device).toEqual({
      number: 1,
      deviceId: 0 as typeof device.deviceId,
      deviceName: "pool-snap-1" as typeof device.deviceName,
      sizeBytes: 4096,
      fsType: "xfs",
      state: "creating",
      role: "snapshot",
      operationId,
    });
    setDeviceState(database, device.number, "activated");
    expect(findDevice(database, device.number)).toEqual({ ...device, state: "activated", operationId: undefined });
  });

  test("never gets the number of one that is gone, but its ID", () => {
    using database = temporaryDatabase();
    const [first, second, third] = [newDevice(database), newDevice(database), newDevice(database)];
    dropDevice(database, third);
    dropDevice(database, first);
    const [fourth, fifth, sixth] = [newDevice(database), newDevice(database), newDevice(database)];
    expect([fourth, fifth, sixth].map(({ number }) => number)).toEqual([4, 5, 6]);
    expect([second, fourth, fifth, sixth].map(({ deviceId }) => deviceId as number)).toEqual([1, 0, 2, 3]);
  });

  test("is listed before that of its snapshot's parent, also of a checkpoint, which is newer, and of one shown again", () => {
    using database = temporaryDatabase();
    const base = addCommitted(database, "base", 1);
    const active = addActive(database, "active", { parent: base });
    const [copy, unused] = [newDevice(database), newDevice(database)];
    commitSnapshot(database, active, {
      name: snapshotKey("checkpoint"),
      deviceNumber: copy.number,
      usedBytes: 1,
      labels: {},
    });
    const shown = { kind: "active", deviceNumber: active.deviceNumber, labels: {} } as const;
    insertSnapshot(database, { scope: testScope, key: snapshotKey("active"), parentNumber: active.number, ...shown });
    const elsewhere = { ...shown, kind: "committed", usedBytes: 1, deviceNumber: base.deviceNumber } as const;
    insertSnapshot(database, {
      scope: scope("other"),
      key: snapshotKey("base"),
      parentNumber: undefined,
      ...elsewhere,
    });
    const inOrder = [unused.number, active.deviceNumber, copy.number, base.deviceNumber];
    expect(listDevices(database).map(({ number }) => number)).toEqual(inOrder);
    const states = ["creating", "activated"] as const;
    expect(listDevicesInState(database, [...states], 3).map(({ number }) => number)).toEqual(inOrder.slice(0, 3));
  });

  test("keeps its ID from others while it is faulty", () => {
    using database = temporaryDatabase();
    const faulty = newDevice(database);
    setDeviceState(database, faulty.number, "faulty");
    expect(newDevice(database).deviceId).not.toBe(faulty.deviceId);
    expect(countDevicesByState(database)).toEqual({ creating: 1, faulty: 1 });
  });

  test("is refused when all 24-bit IDs are taken", () => {
    using database = temporaryDatabase();
    const device = newDevice(database);
    database.drizzle.run(sql`update devices set device_id = ${maxDeviceId} where number = ${device.number}`);
    expect(() => newDevice(database)).toThrow("device IDs of the pool are in use");
    dropDevice(database, { ...device, deviceId: maxDeviceId as typeof device.deviceId });
    expect(newDevice(database).deviceId as number).toBe(maxDeviceId);
  });

  test("as a template is found once it is ready", () => {
    using database = temporaryDatabase();
    const templateKey = "1 GiB ext4";
    const template = insertDevice(database, {
      fsType: "ext4",
      sizeBytes: 2 ** 30,
      operationId: anOperation(),
      templateKey,
    });
    expect(findTemplate(database, templateKey)).toBeUndefined();
    setDeviceState(database, template.number, "deactivated");
    expect(findTemplate(database, templateKey)).toMatchObject({ number: template.number, role: "template" });
  });

  test("is listed before those it may have been made from, and gets no number up to a foreign one's", () => {
    using database = temporaryDatabase();
    newDevice(database);
    recordForeign(database, deviceName(poolName("pool"), 100), 100);
    recordForeign(database, deviceName(poolName("pool"), 50), 50);
    expect(isForeign(database, deviceName(poolName("pool"), 50))).toBe(true);
    expect(isForeign(database, deviceName(poolName("pool"), 1))).toBe(false);
    expect(lastDeviceNumber(database)).toBe(100);
    newDevice(database);
    expect(listDevices(database).map(({ number }) => number)).toEqual([101, 1]);
  });
});
