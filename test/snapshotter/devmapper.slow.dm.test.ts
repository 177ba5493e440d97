// Runs the suites for snapshotters on thin-pools, with each way to the kernel. Kills are the fault tests' (test/faults).
import { describeMisfortunes } from "../conformance/snapshotter-crashes.ts";
import { describeSnapshotter } from "../conformance/snapshotters.ts";
import { thinGround } from "./thin-ground.ts";

const library = thinGround("libdevmapper");
const program = thinGround("dmsetup");

describeSnapshotter("a snapshotter on thin devices through libdevmapper with ext4", library);
describeSnapshotter("a snapshotter on thin devices through libdevmapper with xfs", library, {
  fsType: "xfs",
  layers: 3,
});
describeSnapshotter("a snapshotter on thin devices through dmsetup with ext4", program, { layers: 3 });
describeMisfortunes("a snapshotter on thin devices through libdevmapper that meets with misfortune", library);
describeMisfortunes("a snapshotter on thin devices through dmsetup that meets with misfortune", program);
