// Runs a real containerd on the device-mapper driver through dmsetup: all that it must be able to do on reflink, but
// without the concurrent clients: 32 of them on the one processor of the guest keep Redis from answering within a second.
import { writeBoxImage } from "../support/box-image.ts";
import { registryPrograms } from "../support/registry.ts";
import { containerPrograms, describeContainers } from "./containerd-containers.ts";
import { describeContainerd, describeImages, describeSnapshots } from "./containerd-core.ts";
import { describeHandshake } from "./containerd-handshake.ts";
import { describeRestarts } from "./containerd-restarts.ts";
import { smallThinPool } from "./small-thin-pool.ts";

const requirements = { settings: smallThinPool("dmsetup"), programs: [...containerPrograms, ...registryPrograms] };

describeContainerd("containerd on the devmapper driver, through dmsetup", requirements, (fixture) => {
  describeImages(fixture, writeBoxImage);
  describeContainers(fixture);
  describeSnapshots(fixture);
  describeHandshake(fixture);
  describeRestarts(fixture);
});
