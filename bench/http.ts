// Room: bench. Measures reads over HTTP at a fixed rate, on an idle snapmill and while an image unpacks, and what the reads
// cost the unpack.
//
//   node_modules/.bin/bun bench/http.ts [READS-PER-SECOND] [SECONDS]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Config, childEnvironment, paths } from "../src/config.ts";
import { buildBenchImage } from "./image.ts";
import { benchConfig, type Disk, freshDisk, median, ms, percentile, printTable } from "./measure.ts";

const [rate = 1_000, seconds = 30] = process.argv.slice(2).map(Number);
const snapshots = 100;
const rounds = 3;
const tickMs = 5;
const platform = `linux/${process.arch === "arm64" ? "arm64" : "amd64"}`;

interface Server extends AsyncDisposable {
  readonly read: (path: string) => Promise<void>;
  readonly change: (method: string, path: string, body: object) => Promise<void>;
}

async function startUp(config: Config, settings: Record<string, string>): Promise<Server> {
  const main = join(import.meta.dir, "../src/main.ts");
  const environment = { ...childEnvironment({}), ...settings };
  const child = Bun.spawn([process.execPath, main], { env: environment, stdout: "pipe", stderr: "inherit" });
  const decoder = new TextDecoder();
  let said = "";
  for await (const chunk of child.stdout) {
    said += decoder.decode(chunk, { stream: true });
    if (said.includes("snapmill is ready")) break;
  }
  const url = /http:\/\/[^/]+/.exec(said)?.[0];
  if (url === undefined) throw new Error(`up did not become ready: ${said}`);
  const authorization = `Bearer ${readFileSync(paths.httpToken(config), "utf8").trim()}`;
  const ask = async (path: string, init: RequestInit): Promise<void> => {
    const headers = { authorization, "content-type": "application/json", prefer: "wait=60" };
    const answer = await fetch(url + path, { ...init, headers });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
  };
  return {
    read: (path) => ask(path, {}),
    change: (method, path, body) => ask(path, { method, body: JSON.stringify(body) }),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

/** Latencies from when each read was due, so that a stalled server is not asked less. */
async function readAtRate(read: Server["read"], isOver: () => boolean): Promise<number[]> {
  const samples: number[] = [];
  const startedAt = performance.now();
  const pending: Promise<void>[] = [];
  const paths = ["/v1/pools/default/snapshots?limit=100", "/v1/pools/default/snapshots/bench-7"];
  for (let sent = 0; !isOver(); ) {
    const due = Math.floor(((performance.now() - startedAt) * rate) / 1000);
    for (; sent < due; sent += 1) {
      const dueAt = startedAt + (sent * 1000) / rate;
      const path = paths[sent % paths.length] ?? "";
      pending.push(read(path).then(() => void samples.push(performance.now() - dueAt)));
    }
    await Bun.sleep(tickMs);
  }
  await Promise.all(pending);
  return samples;
}

async function readFor(server: Server): Promise<number[]> {
  const untilMs = performance.now() + seconds * 1000;
  return await readAtRate(server.read, () => performance.now() > untilMs);
}

/** Unpacks an image that is not there, and removes it again; milliseconds of the unpack. */
async function unpackOnce(server: Server, reference: string): Promise<number> {
  const startedAt = performance.now();
  await server.change("POST", "/v1/pools/default/images/unpack", { reference, platform });
  const took = performance.now() - startedAt;
  await server.change("POST", "/v1/pools/default/images/remove", { targets: [{ reference }] });
  return took;
}

async function measure(disk: Disk, reference: string): Promise<void> {
  const settings = { SNAPMILL_UNPACK_WORKERS: "1", SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0" };
  const config = benchConfig(disk, settings);
  await using server = await startUp(config, {
    ...settings,
    SNAPMILL_STATE_DIR: config.stateDir,
    SNAPMILL_RUN_DIR: "/run/snapmill-bench",
    SNAPMILL_POOL_SIZE: "8GiB",
    SNAPMILL_DEVICE_SIZE: "4GiB",
    SNAPMILL_LOG_LEVEL: "warn",
  });
  for (let index = 0; index < snapshots; index += 1) {
    await server.change("POST", `/v1/pools/default/snapshots/bench-${index}/prepare`, {});
  }
  const idle = await readFor(server);
  const alone: number[] = [];
  const beside: number[] = [];
  const busy: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    alone.push(await unpackOnce(server, reference));
    const untilMs = performance.now() + (seconds * 1000) / rounds;
    let isUnpacking = true;
    const reading = readAtRate(server.read, () => !isUnpacking);
    while (performance.now() < untilMs) beside.push(await unpackOnce(server, reference));
    isUnpacking = false;
    busy.push(...(await reading));
  }
  const row = (what: string, samples: readonly number[]) => [
    what,
    String(samples.length),
    ms(percentile(samples, 0.5)),
    ms(percentile(samples, 0.99)),
  ];
  printTable(
    `${rate} reads a second for ${seconds} s: a list of ${snapshots} and one snapshot, in turns`,
    ["server", "reads", "p50", "p99"],
    [row("idle", idle), row("while an image unpacks", busy)],
  );
  printTable(
    "The unpack, median",
    ["beside", "unpacks", "time"],
    [
      ["nothing", String(alone.length), ms(median(alone))],
      ["the reads", String(beside.length), ms(median(beside))],
    ],
  );
}

await using disk = await freshDisk(16);
const image = await buildBenchImage(disk.directory);
await measure(disk, image.reference);
