// Runs the suite for snapshotters on the reflink driver.
import { join } from "node:path";
import { describeCrashes, describeMisfortunes } from "../conformance/snapshotter-crashes.ts";
import { describeDoctor } from "../conformance/snapshotter-doctor.ts";
import { describeRemovals } from "../conformance/snapshotter-removals.ts";
import { describeSnapshotter } from "../conformance/snapshotters.ts";
import { testPool } from "./reflink-test-pool.ts";

const testPoolModule = join(import.meta.dir, "reflink-test-pool.ts");

describeSnapshotter("a snapshotter on the reflink driver with ext4", testPool);
describeCrashes("a snapshotter on the reflink driver that is killed", testPool, testPoolModule);
describeRemovals("a snapshotter on the reflink driver that removes later", testPool, testPoolModule);
describeDoctor("doctor on the reflink driver", testPool, testPoolModule);
describeMisfortunes("a snapshotter on the reflink driver that meets with misfortune", testPool);
