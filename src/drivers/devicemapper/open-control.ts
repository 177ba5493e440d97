// Room: drivers. Owns the choice of the way to the kernel's device-mapper.
import type { DmControl, DmControlName } from "./control.ts";
import { withFaultPoints } from "./control-faults.ts";
import { createDmsetupControl } from "./dmsetup.ts";
import { createLibdevmapperControl } from "./libdevmapper.ts";

export function createDmControl(name: DmControlName): DmControl {
  switch (name) {
    case "dmsetup":
      return withFaultPoints(createDmsetupControl());
    case "libdevmapper":
      return withFaultPoints(createLibdevmapperControl());
  }
}
