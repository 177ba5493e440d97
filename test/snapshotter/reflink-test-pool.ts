// The reflink driver, for the suites of snapshotters to run on.
import { join } from "node:path";
import { poolName } from "../../src/domain/identifiers.ts";
import { createReflinkDriver } from "../../src/drivers/reflink/driver.ts";
import type { TestPool } from "../conformance/snapshotter-fixture.ts";

const pool = poolName("test");

export const testPool: TestPool = {
  pool,
  connectDriver: (directory, sizeBytes) => {
    const runDir = join(directory, "dev");
    return createReflinkDriver({ pool, poolDir: join(directory, "pool"), devicesDir: runDir, runDir, sizeBytes });
  },
};
