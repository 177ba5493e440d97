// Room: bench. Measures prepare + commit through the queue, with more and more snapshots stored.
//
//   node_modules/.bin/bun bench/snapshots.ts
import "./set-up.ts";
import { type Config, redisUrl } from "../src/config.ts";
import { ownScope, snapshotKey } from "../src/domain/identifiers.ts";
import { JobClient } from "../src/jobs/requests/client.ts";
import { withServices } from "../src/supervisor/services.ts";
import { benchConfig, freshDisk, ms, percentile, printTable, timeAll, timeEach } from "./measure.ts";

const stored = [0, 1_000, 10_000];
const samplesEach = 200;
const width = 16;

const base = snapshotKey("base");

async function prepareAndCommit(client: JobClient, name: string, timings?: { prepare: number[]; commit: number[] }) {
  const key = snapshotKey(`${name}-active`);
  const startedAt = performance.now();
  await client.call("prepare", { scope: ownScope, key, parent: base, labels: {} });
  const preparedAt = performance.now();
  await client.call("commit", { scope: ownScope, name: snapshotKey(name), key, labels: {} });
  timings?.prepare.push(preparedAt - startedAt);
  timings?.commit.push(performance.now() - preparedAt);
}

async function measure(client: JobClient, count: number): Promise<string[]> {
  const timings = { prepare: [], commit: [] };
  const both = await timeEach(samplesEach, (index) => prepareAndCommit(client, `sample-${count}-${index}`, timings));
  const figures = [timings.prepare, timings.commit, both].flatMap((samples) => [
    ms(percentile(samples, 0.5)),
    ms(percentile(samples, 0.99)),
  ]);
  return [String(count), ...figures];
}

async function run(config: Config): Promise<void> {
  await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
  await client.call("prepare", { scope: ownScope, key: snapshotKey("base-active"), labels: {} });
  await client.call("commit", { scope: ownScope, name: base, key: snapshotKey("base-active"), labels: {} });
  await timeEach(20, (index) => prepareAndCommit(client, `warm-${index}`));
  const rows: string[][] = [];
  let have = 0;
  for (const count of stored) {
    await timeAll(count - have, width, (index) => prepareAndCommit(client, `stored-${have + index}`));
    have = count;
    rows.push(await measure(client, count));
  }
  printTable(
    "Prepare and commit through the queue, on the reflink driver",
    ["stored", "prepare p50", "p99", "commit p50", "p99", "both p50", "p99"],
    rows,
  );
}

await using disk = await freshDisk(12);
const config = benchConfig(disk);
await withServices(config, () => run(config), { signal: new AbortController().signal });
