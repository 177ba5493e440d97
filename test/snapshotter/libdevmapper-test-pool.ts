// The devmapper driver through libdevmapper, for the suites of snapshotters to run on.
import { thinGround } from "./thin-test-pool.ts";

export const ground = thinGround("libdevmapper");
