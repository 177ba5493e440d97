// Tests two drivers on one thin-pool: the one that cannot claim it leaves it alone, and unloads only what it has loaded.
import { expect, setDefaultTimeout, test } from "bun:test";
import { type DeviceId, deviceName } from "../../src/domain/identifiers.ts";
import { dmControlNames } from "../../src/drivers/devicemapper/control/control.ts";
import { rejects } from "../conformance/driver-fixture.ts";
import { mebibyte, thinPool } from "./thin-test-pool.ts";

setDefaultTimeout(60_000);

test.each(dmControlNames)(
  "through %s, a driver whose claim is refused leaves the pool as it found it",
  async (name) => {
    await using testPool = await thinPool(name);
    const [owner, intruder] = [testPool.connect(), testPool.connect()];
    const device = { deviceId: 1 as DeviceId, deviceName: deviceName(testPool.pool, 1), sizeBytes: 64 * mebibyte };
    const intrude = async () => {
      await intruder.open();
      const takeOver = () => expect.unreachable("a pool that is refused is not taken over");
      await rejects(intruder.claim({ owner: 2, takeOver: 1 }, takeOver), "failed_precondition", "another owner's");
      expect(await intruder.close()).toEqual({ stillInUse: [] });
    };
    await owner.open();
    await owner.claim(undefined, () => ({ owner: 1, takeOver: 1 }));
    await owner.create(device);
    await owner.activate(device);
    await intrude();
    expect(await owner.list([device])).toMatchObject([{ deviceName: device.deviceName, active: true }]);
    await owner.deactivate(device);
    // No active device holds the pool now.
    await intrude();
    await owner.activate(device);
    await owner.delete(device);
    await owner.close();
    await intrude();
    expect(await testPool.leftOnHost()).toEqual([]);
  },
);
