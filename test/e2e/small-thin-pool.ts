// Owns the settings of a small snapmill on a thin-pool with a unique name.
import type { DmControlName } from "../../src/drivers/devicemapper/control/control.ts";

export const smallThinPool = (control: DmControlName): Record<string, string> => ({
  SNAPMILL_DRIVER: "devmapper",
  SNAPMILL_DM_CONTROL: control,
  SNAPMILL_POOL: `containerd-${crypto.randomUUID().slice(0, 8)}`,
  SNAPMILL_POOL_SIZE: "512MiB",
  SNAPMILL_DEVICE_SIZE: "128MiB",
});
