// The devmapper driver through libdevmapper, for the suites of snapshotters to run on.
import { thinTestPool } from "./thin-test-pool.ts";

export const testPool = thinTestPool("libdevmapper");
