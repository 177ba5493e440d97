// Owns the thin-pools that snapshotters are tested on.
import { join } from "node:path";
import { poolName } from "../../src/domain/identifiers.ts";
import type { DmControlName } from "../../src/drivers/devicemapper/control/control.ts";
import { createDevmapperDriver, type DevmapperOptions } from "../../src/drivers/devicemapper/driver.ts";
import { createDmControl } from "../../src/drivers/open.ts";
import type { TestPool } from "../conformance/snapshotter-fixture.ts";

/** A pool's name belongs to the whole kernel: one test pool has one open pool at a time. */
export function thinTestPool(control: DmControlName, overrides: Partial<DevmapperOptions> = {}): TestPool {
  const pool = poolName(`test-${control}`);
  const options = { pool, connect: () => createDmControl(control), minFreeShare: 0.1, discardBlocks: false };
  return {
    pool,
    connectDriver: (directory, sizeBytes) =>
      createDevmapperDriver({ ...options, poolDir: join(directory, "pool"), sizeBytes, ...overrides }),
  };
}
