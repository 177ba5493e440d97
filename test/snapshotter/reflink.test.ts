// Runs the suite for snapshotters on the reflink driver.
import { join } from "node:path";
import { describeCrashes } from "../conformance/snapshotter-crashes.ts";
import { describeSnapshotter } from "../conformance/snapshotters.ts";
import { ground } from "./reflink-ground.ts";

describeSnapshotter("a snapshotter on the reflink driver with ext4", ground);
describeCrashes(
  "a snapshotter on the reflink driver that is killed",
  ground,
  join(import.meta.dir, "reflink-ground.ts"),
);
