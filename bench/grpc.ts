// Room: bench. Measures the snapshots service over its socket, beside containerd's own snapshotters over theirs: each call
// of 1 and of 64 callers in another process, with 0 and 10,000 snapshots stored; what the driver alone takes; and what
// grows over 100,000 calls. Under ten minutes on a quiet machine.
//
//   node_modules/.bin/bun bench/grpc.ts [quick]
import "./set-up.ts";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Config, childEnvironment, type Overrides } from "../src/config.ts";
import { linesOf } from "../src/system/process/lines.ts";
import { startProcess } from "../src/system/process/processes.ts";
import { SnapshotsClient } from "../test/api/grpc/client.ts";
import { Containerd } from "../test/support/containerd.ts";
import { type Extent, measurePeer } from "./grpc-calls.ts";
import { measureDriver } from "./grpc-driver.ts";
import { measureGrowth } from "./grpc-growth.ts";
import { benchConfig, type Disk, freshDisk } from "./measure.ts";

const isQuick = process.argv.includes("quick");
const extent: Extent = {
  storedCounts: isQuick ? [0, 200] : [0, 10_000],
  callerCounts: [1, 64],
  reads: isQuick ? 64 : 1_000,
  changes: isQuick ? 64 : 200,
  storingMs: 180_000,
};
/** What is there to compare with may store less: the whole is to end within ten minutes. */
const peersExtent: Extent = { ...extent, storingMs: 90_000 };
const manyCalls = isQuick ? 2_000 : 100_000;
const diskGib = 24;

const configOn = (disk: Disk): Config =>
  benchConfig(disk, { SNAPMILL_POOL_SIZE: "20GiB", SNAPMILL_DEVICE_SIZE: "1GiB" });

/** Of this process's own pool, beside that of a snapmill on the same disk. */
const directConfig = (disk: Disk): Config =>
  benchConfig(disk, { SNAPMILL_POOL: "direct", SNAPMILL_POOL_SIZE: "2GiB", SNAPMILL_DEVICE_SIZE: "1GiB" });

/** A whole snapmill in processes of its own, as `snapmill up` runs it. */
async function withSnapmill(
  action: (config: Config, client: SnapshotsClient, disk: Disk) => Promise<void>,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  await using disk = await freshDisk(diskGib);
  const config = configOn(disk);
  const settings: Overrides = {
    SNAPMILL_STATE_DIR: config.stateDir,
    SNAPMILL_RUN_DIR: "/run/snapmill-bench",
    SNAPMILL_POOL_SIZE: String(config.poolSizeBytes),
    SNAPMILL_DEVICE_SIZE: String(config.deviceSizeBytes),
    SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
    SNAPMILL_UNPACK_WORKERS: "1",
    SNAPMILL_LOG_LEVEL: "warn",
    REDIS_URL: undefined,
  };
  const program = [process.execPath, join(import.meta.dir, "../src/main.ts")];
  const up = startProcess(program, {
    environment: { ...childEnvironment(settings), ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    for await (const line of linesOf(up.stdout)) if (line.includes("is ready")) break;
    using client = new SnapshotsClient(config.grpcAddress ?? "");
    await action(config, client, disk);
  } finally {
    await up.stop({ graceMs: 60_000 });
    rmSync(config.runDir, { recursive: true, force: true });
  }
}

async function measureContainerd(): Promise<void> {
  await using disk = await freshDisk(diskGib);
  await using containerd = await Containerd.start(join(disk.directory, "containerd"), []);
  using client = new SnapshotsClient(containerd.address, "bench");
  for (const snapshotter of ["native", "overlayfs"]) {
    const peer = { client, snapshotter, cleansUp: false };
    await measurePeer(`containerd's own ${snapshotter}, over containerd's socket`, peer, peersExtent);
  }
}

await withSnapmill(async (_config, client, disk) => {
  await measureDriver(directConfig(disk), client, extent.changes);
  await measurePeer("snapmill on the reflink driver", { client, snapshotter: "snapmill", cleansUp: true }, extent);
});
await withSnapmill(
  async (config, client) => {
    await client.call("prepare", { key: "base-active" });
    await client.call("commit", { key: "base-active", name: "base" });
    await measureGrowth(config, client, manyCalls);
  },
  { BUN_OPTIONS: `--preload=${join(import.meta.dir, "growth-probe.ts")}` },
);
await measureContainerd();
