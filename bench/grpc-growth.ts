// Room: bench. Owns the check that many calls do not make snapmill grow: its memory, descriptors, listeners, Redis keys.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { Redis } from "ioredis";
import { type Config, paths } from "../src/config.ts";
import type { SnapshotsClient } from "../test/api/grpc/client.ts";
import { processesWith } from "../test/support/processes.ts";
import { until } from "../test/support/until.ts";
import { type Held, heldPath } from "./growth-probe.ts";
import { printTable, timeAll } from "./measure.ts";

const callers = 64;
/** Redis keeps the last 5,000 jobs that ended: there are as many before the counting begins. */
const keptJobs = 5_000;
const programs = ["workers/grpc.ts", "workers/pool.ts"];

/** Needs a snapmill whose processes have been started with growth-probe.ts, and a snapshot `base` in it. */
export async function measureGrowth(config: Config, client: SnapshotsClient, calls: number): Promise<void> {
  await client.call("prepare", { key: "growing", parent: "base" });
  const change = () => client.call("update", { info: { name: "growing" } });
  await timeAll(Math.min(keptJobs, calls), callers, change);
  const rows: string[][] = [];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    if (share > 0) await timeAll(calls / 4, callers, (index) => mixedCall(client, change, index));
    const held: string[] = [];
    for (const program of programs) held.push(...(await footprint(config, program)));
    rows.push([String(calls * share), ...held, await keysInRedis(config)]);
  }
  await client.call("remove", { key: "growing" });
  const columns = ["memory", "heap", "functions", "abort signals", "descriptors"];
  printTable(
    `Growth over many calls of ${callers} callers, a tenth of them changes; an event listener is a function`,
    ["calls", ...columns.map((column) => `server: ${column}`), ...columns.map((column) => `worker: ${column}`), "keys"],
    rows,
  );
}

/** Every kind of call, in the proportions of a busy node, and now and then a caller that gives up. */
async function mixedCall(client: SnapshotsClient, change: () => Promise<unknown>, index: number): Promise<void> {
  const key = "growing";
  if (index % 10 === 0) await change();
  else if (index % 100 === 1) {
    await client.call("prepare", { key: `passing ${index}`, parent: "base" });
    await client.call("remove", { key: `passing ${index}` });
  } else if (index % 100 === 2) {
    const signal = AbortSignal.timeout(0);
    await client.call("mounts", { key }, { signal }).catch(() => undefined);
  } else if (index % 100 === 3) await client.list("kind==active");
  else await client.call(index % 3 === 0 ? "mounts" : "stat", { key });
}

async function footprint(config: Config, program: string): Promise<string[]> {
  const isOurs = (pid: number) => readFileSync(`/proc/${pid}/environ`, "utf8").includes(config.stateDir);
  const pid = processesWith(program).find(isOurs);
  if (pid === undefined) throw new Error(`${program} does not run`);
  const { heapBytes, functions, abortSignals } = await askWhatIsHeld(pid);
  const residentKib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  const descriptors = readdirSync(`/proc/${pid}/fd`).length;
  return [mib(Number(residentKib) * 1024), mib(heapBytes), ...[functions, abortSignals, descriptors].map(String)];
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

async function askWhatIsHeld(pid: number): Promise<Held> {
  process.kill(pid, "SIGUSR2");
  await until(`process ${pid} has written what it holds`, () => existsSync(heldPath(pid)));
  const held = JSON.parse(readFileSync(heldPath(pid), "utf8")) as Held;
  rmSync(heldPath(pid));
  return held;
}

async function keysInRedis(config: Config): Promise<string> {
  const redis = new Redis({ path: paths.redisSocket(config) });
  const keys = await redis.dbsize();
  redis.disconnect();
  return String(keys);
}
