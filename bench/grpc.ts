// Room: bench. Measures the snapshots service over its socket, beside containerd's own snapshotters over theirs.
//
//   PATH=.tools/bin:$PATH node_modules/.bin/bun bench/grpc.ts [quick]      (containerd is in .tools/bin after npm test)
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { type Config, childEnvironment, paths } from "../src/config.ts";
import { linesOf } from "../src/system/lines.ts";
import { startProcess } from "../src/system/processes.ts";
import { SnapshotsClient } from "../test/api/grpc/client.ts";
import { Containerd } from "../test/support/containerd.ts";
import { processesWith } from "../test/support/processes.ts";
import { benchConfig, freshDisk, ms, percentile, printTable, timeAll } from "./measure.ts";

const isQuick = process.argv.includes("quick");
const storedCounts = isQuick ? [0, 200] : [0, 10_000];
const callerCounts = [1, 64];
const samples = isQuick ? 64 : 1_000;
const manyCalls = isQuick ? 2_000 : 100_000;
const storingWidth = 16;

const root = join(import.meta.dir, "..");
/** What containerd's garbage collector is to leave alone. */
const labels = { "containerd.io/gc.root": "bench" };

/** One snapshotter behind a socket, as its client names it. */
interface Peer {
  readonly client: SnapshotsClient;
  readonly snapshotter: string;
}

/** Milliseconds that each of `count` calls takes, `callers` of them at a time. */
async function timeCalls(count: number, callers: number, call: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  await timeAll(count, callers, async (index) => {
    const startedAt = performance.now();
    await call(index);
    times.push(performance.now() - startedAt);
  });
  return times;
}

async function store({ client, snapshotter }: Peer, from: number, to: number): Promise<void> {
  await timeAll(to - from, storingWidth, async (index) => {
    const key = `filling ${from + index}`;
    await client.call("prepare", { snapshotter, key, parent: "base", labels });
    await client.call("commit", { snapshotter, key, name: `stored ${from + index}`, labels });
  });
}

/** One row a call. The changes of a round are undone by its last ones: the number stored stays. */
async function measureRound(peer: Peer, stored: number, callers: number): Promise<string[][]> {
  const { client, snapshotter } = peer;
  const rows: string[][] = [];
  const measure = async (name: string, count: number, call: (index: number) => Promise<unknown>) => {
    const times = await timeCalls(count, callers, call);
    rows.push([String(stored), String(callers), name, ms(percentile(times, 0.5)), ms(percentile(times, 0.99))]);
  };
  const key = (index: number) => `key ${index}`;
  const layer = (index: number) => `layer ${index}`;
  const info = { name: "base", labels: { ...labels, turn: String(stored) } };
  await measure("Prepare", samples, (i) =>
    client.call("prepare", { snapshotter, key: key(i), parent: "base", labels }),
  );
  await measure("Stat", samples, (i) => client.call("stat", { snapshotter, key: key(i) }));
  await measure("Mounts", samples, (i) => client.call("mounts", { snapshotter, key: key(i) }));
  await measure("Usage (active)", samples, (i) => client.call("usage", { snapshotter, key: key(i) }));
  await measure("Update", samples, () => client.call("update", { snapshotter, info }));
  await measure("Commit", samples, (i) => client.call("commit", { snapshotter, key: key(i), name: layer(i), labels }));
  await measure("Usage (committed)", samples, (i) => client.call("usage", { snapshotter, key: layer(i) }));
  await measure("View", samples, (i) => client.call("view", { snapshotter, key: key(i), parent: layer(i), labels }));
  await measure("Remove (view)", samples, (i) => client.call("remove", { snapshotter, key: key(i) }));
  await measure("Remove (layer)", samples, (i) => client.call("remove", { snapshotter, key: layer(i) }));
  await measure("List (all)", callers === 1 ? 20 : callers, () => client.listOf(snapshotter));
  return rows;
}

async function measurePeer(title: string, peer: Peer): Promise<void> {
  const { client, snapshotter } = peer;
  await client.call("prepare", { snapshotter, key: "base-active", labels });
  await client.call("commit", { snapshotter, key: "base-active", name: "base", labels });
  await measureRound(peer, 0, 1);
  const rows: string[][] = [];
  let have = 0;
  for (const stored of storedCounts) {
    await store(peer, have, stored);
    have = stored;
    for (const callers of callerCounts) rows.push(...(await measureRound(peer, stored, callers)));
  }
  printTable(title, ["stored", "callers", "call", "p50", "p99"], rows);
}

/** What must not grow: of the process that serves and of the one that works, and of Redis. */
async function footprint(config: Config): Promise<string[]> {
  const redis = new Redis({ path: paths.redisSocket(config) });
  const keys = await redis.dbsize();
  redis.disconnect();
  const figures = ["workers/grpc.ts", "workers/pool.ts"].flatMap((program) => {
    const pid = processesWith(program).find((candidate) => environmentOf(candidate).includes(config.stateDir)) ?? 0;
    const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
    return [`${Math.round(Number(resident) / 1024)} MiB`, String(readdirSync(`/proc/${pid}/fd`).length)];
  });
  return [...figures, String(keys)];
}

const environmentOf = (pid: number): string => readFileSync(`/proc/${pid}/environ`, "utf8");

async function measureGrowth(config: Config, { client, snapshotter }: Peer): Promise<void> {
  await client.call("prepare", { snapshotter, key: "growing", parent: "base" });
  const rows: string[][] = [];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    if (share > 0) {
      await timeAll(manyCalls / 4, 64, (index) => {
        if (index % 10 === 0) return client.call("update", { snapshotter, info: { name: "growing" } });
        return client.call(index % 3 === 0 ? "mounts" : "stat", { snapshotter, key: "growing" });
      });
    }
    rows.push([String(manyCalls * share), ...(await footprint(config))]);
  }
  await client.call("remove", { snapshotter, key: "growing" });
  printTable(
    "Growth over many calls of 64 callers (a tenth are changes; Redis keeps the last 5,000 jobs that ended)",
    ["calls", "server memory", "descriptors", "worker memory", "descriptors", "keys in Redis"],
    rows,
  );
}

/** A whole snapmill in processes of its own, as `snapmill up` runs it. */
async function withSnapmill(action: (config: Config) => Promise<void>): Promise<void> {
  await using disk = await freshDisk(24);
  const config = benchConfig(disk, { SNAPMILL_POOL_SIZE: "20GiB", SNAPMILL_DEVICE_SIZE: "1GiB" });
  const environment = childEnvironment({
    SNAPMILL_STATE_DIR: config.stateDir,
    SNAPMILL_RUN_DIR: "/run/snapmill-bench",
    SNAPMILL_POOL_SIZE: String(config.poolSizeBytes),
    SNAPMILL_DEVICE_SIZE: String(config.deviceSizeBytes),
    SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
    SNAPMILL_UNPACK_WORKERS: "1",
    SNAPMILL_LOG_LEVEL: "warn",
    REDIS_URL: undefined,
  });
  const options = { environment, stdin: "ignore", stdout: "pipe", stderr: "inherit" } as const;
  const up = startProcess([process.execPath, join(root, "src/main.ts")], options);
  try {
    for await (const line of linesOf(up.stdout)) if (line.includes("is ready")) break;
    await action(config);
  } finally {
    await up.stop({ graceMs: 60_000 });
  }
}

async function measureContainerd(): Promise<void> {
  if (Bun.which("containerd") === null) {
    console.log("\ncontainerd is not on PATH: its figures are left out (npm test provides it in .tools/bin)");
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), "snapmill-bench-containerd-"));
  try {
    await using containerd = await Containerd.start(directory, []);
    using client = new SnapshotsClient(containerd.address, "bench");
    for (const snapshotter of ["native", "overlayfs"]) {
      await measurePeer(`containerd's own ${snapshotter}, over containerd's socket`, { client, snapshotter });
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await withSnapmill(async (config) => {
  using client = new SnapshotsClient(config.grpcAddress ?? "");
  const peer = { client, snapshotter: "snapmill" };
  await measurePeer("snapmill on the reflink driver", peer);
  await measureGrowth(config, peer);
});
await measureContainerd();
