// Runs the suite for drivers on thin-pools, with each way to the kernel.
import { describeDriver } from "../conformance/drivers.ts";
import { thinPool } from "./devmapper-ground.ts";

describeDriver("the devmapper driver through libdevmapper", () => thinPool("libdevmapper"));
describeDriver("the devmapper driver through dmsetup", () => thinPool("dmsetup"));
