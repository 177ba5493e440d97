// A program that creates, activates and deletes devices in a loop, to be killed at any moment.
import { type DeviceId, deviceName, poolName } from "../../src/domain/identifiers.ts";
import { createReflinkDriver } from "../../src/drivers/reflink/driver.ts";

const [poolDir, devicesDir, first] = process.argv.slice(2);
if (poolDir === undefined || devicesDir === undefined)
  throw new Error("usage: churn POOL_DIR DEVICES_DIR FIRST_SERIAL");
const pool = poolName("test");
const driver = createReflinkDriver({ pool, poolDir, devicesDir, runDir: devicesDir, sizeBytes: 2 ** 29 });
const device = (serial: number) => ({
  deviceId: serial as DeviceId,
  deviceName: deviceName(pool, serial),
  sizeBytes: 2 ** 24,
});

await driver.open();
for (let serial = Number(first); ; serial += 2) {
  await driver.create(device(serial));
  await driver.activate(device(serial));
  await driver.snapshot(device(serial), device(serial + 1));
  await driver.activate(device(serial + 1));
  await driver.deactivate(device(serial));
  await driver.delete(device(serial));
}
