// Room: bench. Measures what the queue costs: the same change of a label in process, and as a job of another process.
//
//   node_modules/.bin/bun bench/jobs.ts
import { mkdirSync } from "node:fs";
import { type Config, paths, poolSettings, redisUrl } from "../src/config.ts";
import { freshOperationId, ownScope, type SnapshotKey, snapshotKey } from "../src/domain/identifiers.ts";
import { createDriver } from "../src/drivers/open.ts";
import { JobClient } from "../src/jobs/client.ts";
import { openDatabase } from "../src/metadata/database.ts";
import { createSnapshotter } from "../src/snapshotter/snapshotter.ts";
import { withPieces } from "../src/supervisor/pieces.ts";
import { benchConfig, freshDisk, median, ms, percentile, printTable, timeAll, timeEach } from "./measure.ts";

const warmUp = 300;
const alone = 2_000;
const inFlight = 64;
const together = 20_000;

type Update = (key: SnapshotKey, value: string) => Promise<unknown>;

const key = snapshotKey("target");
const change = (value: string) => ({ scope: ownScope, key, labels: { turn: value }, fieldPaths: ["labels.turn"] });

interface Figures {
  readonly alone: readonly number[];
  readonly perSecond: number;
}

async function measure(update: Update): Promise<Figures> {
  await timeEach(warmUp, (index) => update(key, `warm-${index}`));
  const samples = await timeEach(alone, (index) => update(key, `alone-${index}`));
  const totalMs = await timeAll(together, inFlight, (index) => update(key, `together-${index}`));
  return { alone: samples, perSecond: (together / totalMs) * 1000 };
}

async function inProcess(config: Config): Promise<Figures> {
  mkdirSync(paths.poolDir(config), { recursive: true });
  using database = openDatabase(paths.database(config), { mode: "readwrite" });
  const driver = createDriver({
    ...poolSettings(config),
  });
  await driver.open();
  try {
    const { pool, fsType, deviceSizeBytes } = config;
    const snapshotter = createSnapshotter({ database, driver, pool, fsType, deviceSizeBytes });
    await snapshotter.prepare(freshOperationId(), { scope: ownScope, key, labels: {} });
    return await measure((_, value) => snapshotter.update(freshOperationId(), change(value)));
  } finally {
    await driver.close();
  }
}

const throughQueue = (config: Config): Promise<Figures> =>
  withPieces(
    config,
    async () => {
      await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
      await client.call("prepare", { scope: ownScope, key, labels: {} });
      return await measure((_, value) => client.call("update", change(value)));
    },
    { signal: new AbortController().signal },
  );

const rowOf = (name: string, { alone: samples, perSecond }: Figures): string[] => [
  name,
  ms(median(samples)),
  ms(percentile(samples, 0.99)),
  perSecond.toFixed(0),
];

await using disk = await freshDisk(12);
const direct = await inProcess(benchConfig(disk, { SNAPMILL_POOL: "direct" }));
const queued = await throughQueue(benchConfig(disk, { SNAPMILL_POOL: "queued" }));
printTable(
  "One change of a label: journal, synchronous=FULL",
  ["way", "p50, one at a time", "p99", `a second, ${inFlight} in flight`],
  [rowOf("in process", direct), rowOf("through the queue", queued)],
);
console.log(`\nThe queue adds ${ms(median(queued.alone) - median(direct.alone))} to the median.`);
