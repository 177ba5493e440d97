// Tests doctor without a running snapmill, on a thin-pool that a killed worker left loaded, and on a damaged one.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { paths, poolSettings } from "../../src/config.ts";
import { freshOperationId, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { createDmsetupControl } from "../../src/drivers/devicemapper/control/dmsetup.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/pool/definition.ts";
import { createDriver } from "../../src/drivers/open.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { createSnapshotter } from "../../src/snapshotter/snapshotter.ts";
import { examineStopped } from "../../src/supervisor/stopped-pool.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { markForCheck } from "../support/thin-metadata.ts";

const never = new AbortController().signal;

const settings = {
  SNAPMILL_DRIVER: "devmapper",
  SNAPMILL_POOL: `doctor-${process.pid}`,
  SNAPMILL_POOL_SIZE: "320MiB",
  SNAPMILL_DEVICE_SIZE: "64MiB",
  SNAPMILL_DM_CONTROL: "libdevmapper",
};

test("a thin-pool that was left loaded is looked at without a change, and taken off by repair; one to be checked is left", async () => {
  using snapmill = new TestSnapmill(settings);
  const { config } = snapmill;
  const { pool } = config;
  await using control = createDmsetupControl();
  const loaded = async () => (await control.list(`${pool}-`)).map(({ name }) => name).toSorted();
  await prepareAndStop(snapmill);
  const before = await loaded();
  await control.message(poolDeviceName(pool), { kind: "reserve_metadata_snap" });

  const first = await examineStopped(config, { repair: false }, never);
  expect(first.map(({ kind, subject }) => `${kind} ${subject}`).toSorted()).toEqual([
    `left-attached ${before.find((name) => name !== poolDeviceName(pool)) ?? ""}`,
    `metadata-snapshot-held ${pool}`,
  ]);
  expect(await loaded()).toEqual(before);

  const repaired = await examineStopped(config, { repair: true }, never);
  expect(repaired.map((finding) => finding.repaired)).toEqual(repaired.map(() => true));
  expect(await loaded()).toEqual([]);

  const metadata = join(paths.poolDir(config), "metadata.img");
  await markForCheck(metadata);
  const left = await examineStopped(config, { repair: true }, never);
  expect(left).toMatchObject([{ kind: "pool-state", subject: pool, repaired: false }]);
  expect(left[0]?.sentence).toContain(`thin_check --clear-needs-check-flag ${metadata}`);
  expect(await loaded()).toEqual([]);
}, 170_000);

/** As if its process had been killed: the pool and a device stay as they are. */
async function prepareAndStop({ config }: TestSnapmill): Promise<void> {
  const { pool, fsType, deviceSizeBytes } = config;
  const driver = createDriver(poolSettings(config));
  await driver.open();
  using database = openDatabase(paths.database(config), { mode: "readwrite" });
  const snapshotter = createSnapshotter({ database, driver, pool, fsType, deviceSizeBytes });
  await snapshotter.recover();
  await snapshotter.prepare(freshOperationId(), { scope: ownScope, key: snapshotKey("active"), labels: {} });
  await snapshotter.drain();
}
