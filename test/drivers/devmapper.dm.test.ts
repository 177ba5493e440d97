// Runs the suite for drivers on thin-pools through libdevmapper.
import { describeDriver } from "../conformance/drivers.ts";
import { thinPool } from "./thin-test-pool.ts";

describeDriver("the devmapper driver through libdevmapper", () => thinPool("libdevmapper"));
