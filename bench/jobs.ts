// Room: bench. Measures what the queue costs: the same change of a label in process, and as a job of another process.
//
//   node_modules/.bin/bun bench/jobs.ts
import "./set-up.ts";
import { mkdirSync } from "node:fs";
import { type Config, paths, poolSettings, redisUrl } from "../src/config.ts";
import { freshOperationId, ownScope, type SnapshotKey, snapshotKey } from "../src/domain/identifiers.ts";
import { createDriver } from "../src/drivers/open.ts";
import { JobClient } from "../src/jobs/requests/client.ts";
import { openDatabase } from "../src/metadata/database.ts";
import { createSnapshotter } from "../src/snapshotter/snapshotter.ts";
import { withServices } from "../src/supervisor/services.ts";
import { benchConfig, freshDisk, median, ms, percentile, printTable, timeAll, timeEach } from "./measure.ts";

const warmUp = 300;
const alone = 2_000;
const inFlight = 64;
const together = 20_000;

type Update = (key: SnapshotKey, value: string) => Promise<unknown>;

const key = snapshotKey("target");
const change = (value: string) => ({ scope: ownScope, key, labels: { turn: value }, fieldPaths: ["labels.turn"] });

/** Calls `action` with a way to change a label of this process's own pool. */
async function inProcess<T>(config: Config, action: (update: Update) => Promise<T>): Promise<T> {
  mkdirSync(paths.poolDir(config), { recursive: true });
  using database = openDatabase(paths.database(config), { mode: "readwrite" });
  const driver = createDriver(poolSettings(config));
  await driver.open();
  try {
    const { pool, fsType, deviceSizeBytes } = config;
    const snapshotter = createSnapshotter({ database, driver, pool, fsType, deviceSizeBytes });
    await snapshotter.prepare(freshOperationId(), { scope: ownScope, key, labels: {} });
    return await action((_, value) => snapshotter.update(freshOperationId(), change(value)));
  } finally {
    await driver.close();
  }
}

/** The same through the queue of another pool, whose worker is another process. */
const throughQueue = <T>(config: Config, action: (update: Update) => Promise<T>): Promise<T> =>
  withServices(
    config,
    async () => {
      await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
      await client.call("prepare", { scope: ownScope, key, labels: {} });
      return await action((_, value) => client.call("update", change(value)));
    },
    { signal: new AbortController().signal },
  );

/**
 * One call of each, in turns: a disk that was left alone for some milliseconds takes longer to flush (0.45 ms without a
 * pause, 1.5 ms after one), so that calls in a tight loop cannot be compared with calls that wait for Redis in between.
 */
async function inTurns(ways: readonly [Update, Update]): Promise<readonly [number[], number[]]> {
  const samples: readonly [number[], number[]] = [[], []];
  for (let turn = -warmUp; turn < alone; turn += 1) {
    for (const [index, update] of ways.entries()) {
      const [tookMs] = await timeEach(1, () => update(key, `alone-${turn}`));
      if (turn >= 0 && tookMs !== undefined) samples[index]?.push(tookMs);
    }
  }
  return samples;
}

const perSecond = async (update: Update): Promise<number> =>
  (together / (await timeAll(together, inFlight, (index) => update(key, `together-${index}`)))) * 1000;

const rowOf = (name: string, samples: readonly number[], rate: number): string[] => [
  name,
  ms(median(samples)),
  ms(percentile(samples, 0.99)),
  rate.toFixed(0),
];

await using disk = await freshDisk(12);
await inProcess(benchConfig(disk, { SNAPMILL_POOL: "direct" }), (direct) =>
  throughQueue(benchConfig(disk, { SNAPMILL_POOL: "queued" }), async (queued) => {
    const [directMs, queuedMs] = await inTurns([direct, queued]);
    printTable(
      "One change of a label: journal, synchronous=FULL",
      ["way", "p50, one at a time in turns", "p99", `a second, ${inFlight} in flight`],
      [
        rowOf("in process", directMs, await perSecond(direct)),
        rowOf("through the queue", queuedMs, await perSecond(queued)),
      ],
    );
    console.log(`\nThe queue adds ${ms(median(queuedMs) - median(directMs))} to the median.`);
  }),
);
