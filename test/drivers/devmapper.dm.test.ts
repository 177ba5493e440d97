// Runs the suite for drivers on thin-pools through libdevmapper.
import { describeDriver } from "../conformance/drivers.ts";
import { thinPool } from "./devmapper-ground.ts";

describeDriver("the devmapper driver through libdevmapper", () => thinPool("libdevmapper"));
