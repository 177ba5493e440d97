// Runs the suite for drivers on thin-pools through dmsetup.
import { describeDriver } from "../conformance/drivers.ts";
import { thinPool } from "./thin-test-pool.ts";

describeDriver("the devmapper driver through dmsetup", () => thinPool("dmsetup"));
