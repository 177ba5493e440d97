// Room: bench. Owns which ways are compared where.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { poolName } from "../../src/domain/identifiers.ts";
import { createDmsetupControl } from "../../src/drivers/devicemapper/control/dmsetup.ts";
import { createThinPool } from "../../src/drivers/devicemapper/pool/create.ts";
import { devmapperConfiguration } from "../containerd-daemon.ts";
import { containerd } from "./containerd.ts";
import { floor } from "./floor.ts";
import { snapmill } from "./snapmill.ts";
import { umoci } from "./umoci.ts";
import type { Tools, Way } from "./way.ts";

const gibibyte = 2 ** 30;
const deviceBytes = 4 * gibibyte;
const thinDeviceMib = 512;
const thinPoolBytes = 2 * gibibyte;

export const hostWays = (tools: Tools): Way[] => [
  floor(tools, deviceBytes),
  containerd(tools, { name: "overlayfs" }),
  containerd(tools, { name: "native" }),
  umoci(tools),
  snapmill(tools, "snapmill, reflink", {
    SNAPMILL_DRIVER: "reflink",
    SNAPMILL_POOL_SIZE: String(8 * gibibyte),
    SNAPMILL_DEVICE_SIZE: String(deviceBytes),
  }),
];

/** Both on a thin-pool of their own, in files. */
export const thinPoolWays = (tools: Tools): Way[] => [
  containerd(tools, { name: "devmapper", configure: configureDevmapper }),
  ...(["dmsetup", "libdevmapper"] as const).map((control) =>
    snapmill(tools, `snapmill, thin-pool (${control})`, {
      SNAPMILL_POOL: control,
      SNAPMILL_DRIVER: "devmapper",
      SNAPMILL_DM_CONTROL: control,
      SNAPMILL_POOL_SIZE: String(thinPoolBytes),
      SNAPMILL_DEVICE_SIZE: String(thinDeviceMib * 2 ** 20),
    }),
  ),
];

async function configureDevmapper(directory: string): Promise<{ readonly toml: string } & AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const control = scope.use(createDmsetupControl());
  const poolDir = join(directory, "pool");
  mkdirSync(poolDir, { recursive: true });
  const storage = { kind: "loopback", directory: poolDir, dataBytes: thinPoolBytes } as const;
  const pool = await createThinPool({ control, poolDir, plan: { pool: poolName("peer"), storage } });
  scope.defer(async () => {
    for (const { name } of await control.list("peer-pool-snap-")) await control.remove(name);
    await pool.close();
  });
  const held = scope.move();
  return {
    toml: devmapperConfiguration(directory, pool.deviceName, thinDeviceMib),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
