// Runs the suites for snapshotters on thin-pools. The long one runs through dmsetup, with a process for each call, in
// devmapper-dmsetup.slow.dm.test.ts. Kills are in test/faults.
import { describeMisfortunes } from "../conformance/snapshotter-crashes.ts";
import { describeSnapshotter } from "../conformance/snapshotters.ts";
import { thinTestPool } from "./thin-test-pool.ts";

const library = thinTestPool("libdevmapper");

describeSnapshotter("a snapshotter on thin devices through libdevmapper with ext4", library);
describeSnapshotter("a snapshotter on thin devices through libdevmapper with xfs", library, {
  fsType: "xfs",
  layers: 3,
});
describeMisfortunes("a snapshotter on thin devices through libdevmapper that meets with misfortune", library);
describeMisfortunes(
  "a snapshotter on thin devices through dmsetup that meets with misfortune",
  thinTestPool("dmsetup"),
);
