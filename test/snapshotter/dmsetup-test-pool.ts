// The devmapper driver through dmsetup, for the suites of snapshotters to run on.
import { thinTestPool } from "./thin-test-pool.ts";

export const testPool = thinTestPool("dmsetup");
