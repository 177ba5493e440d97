// Runs the suite for snapshotters on thin-pools through dmsetup.
import { describeSnapshotter } from "../conformance/snapshotters.ts";
import { thinTestPool } from "./thin-test-pool.ts";

describeSnapshotter("a snapshotter on thin devices through dmsetup with ext4", thinTestPool("dmsetup"), { layers: 3 });
