// Runs the suites for removals that must wait, and for doctor, on thin-pools.
import { join } from "node:path";
import { describeDoctor } from "../conformance/snapshotter-doctor.ts";
import { describeRemovals } from "../conformance/snapshotter-removals.ts";
import { testPool } from "./libdevmapper-test-pool.ts";

const testPoolModule = join(import.meta.dir, "libdevmapper-test-pool.ts");

// Processes are killed on thin-pools in test/faults.
describeRemovals("a snapshotter on thin devices that removes later", testPool, testPoolModule, { points: [] });
describeDoctor("doctor on thin devices", testPool, testPoolModule);
