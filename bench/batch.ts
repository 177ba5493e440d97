// Room: bench. Measures a batch of small images from a registry of its own on this machine: the memory of all processes
// together while it is worked off, and whether its last images take longer than its first.
//
//   node_modules/.bin/bun bench/batch.ts [images]
import "./set-up.ts";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../src/config.ts";
import type { ReadItem } from "../src/service/batches.ts";
import { pushManyImages } from "../test/support/many-images.ts";
import { answers } from "../test/support/redis.ts";
import { Registry } from "../test/support/registry.ts";
import { TestSnapmill } from "../test/support/test-snapmill.ts";
import { until } from "../test/support/until.ts";
import { freshDisk, printTable } from "./measure.ts";
import { MemoryPeak } from "./memory-peak.ts";

const count = Number(process.argv[2] ?? 200);
const edge = Math.min(50, Math.floor(count / 2));
/** From the first that begins to the last that ends. */
function spanMs(items: readonly ReadItem[]): number {
  const starts = items.map(({ startedAtMs }) => startedAtMs ?? Number.NaN);
  const ends = items.map(({ endedAtMs }) => endedAtMs ?? Number.NaN);
  return Math.max(...ends) - Math.min(...starts);
}

await using disk = await freshDisk(12);
await using registry = await Registry.start(join(disk.directory, "registry"));
const images = await pushManyImages({ host: registry.host, name: "bench/app" }, count);
using snapmill = new TestSnapmill({
  SNAPMILL_STATE_DIR: join(disk.directory, "state"),
  SNAPMILL_POOL_SIZE: "8GiB",
  SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
});
const list = join(disk.directory, "images.txt");
writeFileSync(list, images.references.join("\n"));
const up = snapmill.start(["up"]);
await until("Redis answers", () => answers(paths.redisSocket(snapmill.config)), Boolean, 60_000);
using peak = new MemoryPeak(registry.pid);
const { stdout, stderr } = await snapmill.run(["batch", "submit", "--json", "--wait", "--plain-http", list]);
up.kill("SIGTERM");
await up.finished;
if (stdout === "") throw new Error(stderr);
const { items } = JSON.parse(stdout) as { readonly items: readonly ReadItem[] };

const done = items.filter(({ state }) => state === "done").length;
if (done !== count) throw new Error(`${done} of ${count} images are done`);
const wholeMs = spanMs(items);
const seconds = (value: number): string => `${(value / 1000).toFixed(1)} s`;
printTable(
  `A batch of ${count} images of two small layers, ${snapmill.config.unpackWorkers} unpack workers`,
  ["images", "time", "images a second"],
  [
    [
      `the first ${edge}`,
      seconds(spanMs(items.slice(0, edge))),
      (edge / (spanMs(items.slice(0, edge)) / 1000)).toFixed(1),
    ],
    [`the last ${edge}`, seconds(spanMs(items.slice(-edge))), (edge / (spanMs(items.slice(-edge)) / 1000)).toFixed(1)],
    [`all ${count}`, seconds(wholeMs), (count / (wholeMs / 1000)).toFixed(1)],
  ],
);
peak.print("Memory at its peak");
console.log(`\nPeak: ${(peak.totalBytes / 1e6).toFixed(0)} MB of 500 MB`);
