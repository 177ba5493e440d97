// Runs a real containerd on the reflink driver.
import { registryPrograms } from "../support/registry.ts";
import { describeCrowd } from "./containerd-concurrent.ts";
import { describeContainerd, describeImages, describeSnapshots } from "./containerd-core.ts";
import { describeHandshake } from "./containerd-handshake.ts";
import { describeRestarts } from "./containerd-restarts.ts";

const requirements = { settings: {}, programs: registryPrograms };

describeContainerd("containerd on the reflink driver", requirements, (fixture) => {
  describeImages(fixture);
  describeSnapshots(fixture);
  describeHandshake(fixture);
  describeRestarts(fixture);
  describeCrowd(fixture);
});
