// Runs the suite for snapshotters on the reflink driver.
import { describeSnapshotter } from "../conformance/snapshotters.ts";
import { ground } from "./reflink-ground.ts";

describeSnapshotter("a snapshotter on the reflink driver with ext4", ground);
