// Runs a real containerd on the device-mapper driver, and containers from its snapshots.
import { writeBoxImage } from "../support/box-image.ts";
import { containerPrograms, describeContainers } from "./containerd-containers.ts";
import { describeContainerd, describeImages } from "./containerd-core.ts";
import { smallThinPool } from "./small-thin-pool.ts";

const requirements = {
  settings: smallThinPool("libdevmapper"),
  programs: containerPrograms,
};

describeContainerd("containerd on the devmapper driver, through libdevmapper", requirements, (fixture) => {
  describeImages(fixture, writeBoxImage);
  describeContainers(fixture);
});
