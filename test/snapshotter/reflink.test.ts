// Runs the suite for snapshotters on the reflink driver.
import { join } from "node:path";
import { describeCrashes, describeMisfortunes } from "../conformance/snapshotter-crashes.ts";
import { describeDoctor } from "../conformance/snapshotter-doctor.ts";
import { describeRemovals } from "../conformance/snapshotter-removals.ts";
import { describeSnapshotter } from "../conformance/snapshotters.ts";
import { ground } from "./reflink-test-pool.ts";

const groundModule = join(import.meta.dir, "reflink-test-pool.ts");

describeSnapshotter("a snapshotter on the reflink driver with ext4", ground);
describeCrashes("a snapshotter on the reflink driver that is killed", ground, groundModule);
describeRemovals("a snapshotter on the reflink driver that removes later", ground, groundModule);
describeDoctor("doctor on the reflink driver", ground, groundModule);
describeMisfortunes("a snapshotter on the reflink driver that meets with misfortune", ground);
