import { createDmsetupControl } from "../../../../src/drivers/devicemapper/control/dmsetup.ts";
import { describeControl } from "../../../conformance/dm-controls.ts";

describeControl("device-mapper controlled by dmsetup", createDmsetupControl);
