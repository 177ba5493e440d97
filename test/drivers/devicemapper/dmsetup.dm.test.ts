import { createDmsetupControl } from "../../../src/drivers/devicemapper/dmsetup.ts";
import { describeControl } from "../../conformance/dm-controls.ts";

describeControl("device-mapper controlled by dmsetup", createDmsetupControl);
