// Room: test. Owns a history that `up` finds when it starts, as if it had run for a day.
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Config, paths } from "../../src/config.ts";
import type { HistoryPoint } from "../../src/domain/history.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { recordSamples } from "../../src/metadata/history.ts";
import { serviceSchema } from "../../src/metadata/migrations.ts";
import { aPoint } from "./history.ts";

/** While no `up` runs. The state directory is then as `up` would have made it, which takes over no other's. */
export function writeHistory(config: Config, samples: readonly HistoryPoint[]): void {
  const path = paths.serviceDatabase(config);
  mkdirSync(dirname(path), { recursive: true });
  chmodSync(dirname(path), 0o700);
  using database = openDatabase(path, { mode: "readwrite", schema: serviceSchema });
  for (const sample of samples) recordSamples(database, new Map([[config.pool, sample]]));
}

const minuteMs = 60_000;
const gibibyte = 2 ** 30;

const dayMinutes = 24 * 60;
/** Since then it is empty again. */
const emptiedAt = dayMinutes - 60;

/** Fills, with bursts of unpacks and some failures, is away for an hour and a half, and is emptied an hour ago. */
export const aBusyDay = (untilMs: number): HistoryPoint[] =>
  Array.from({ length: dayMinutes }, (_, minute) => minute)
    .filter((minute) => minute < 900 || minute > 990)
    .map((minute) =>
      aPoint({
        atMs: untilMs - (dayMinutes - minute) * minuteMs,
        elapsedMs: minuteMs,
        dataTotalBytes: gibibyte,
        failedRemovals: 0,
        restarts: minute === 991 ? 1 : 0,
        failures: minute % 240 === 30 ? { "unpack unavailable": 2, "prepare resource_exhausted": 1 } : {},
        ...(minute < emptiedAt ? filling(minute) : emptied(minute)),
        ...(minute < emptiedAt && minute % 180 < 60 ? busy(minute) : idle),
      }),
    );

const filling = (minute: number) => ({
  dataUsedBytes: Math.round((0.2 + (0.45 * minute) / dayMinutes) * gibibyte),
  snapshots: 80 + Math.floor(minute / 10),
  pendingRemovals: 0,
});

const emptied = (minute: number) => ({
  dataUsedBytes: Math.round(0.07 * gibibyte),
  snapshots: 28,
  pendingRemovals: minute < emptiedAt + 5 ? 30 : 0,
});

const busy = (minute: number) => ({
  waitingJobs: (minute * 7) % 11,
  oldestWaitingMs: 1_200,
  runningUnpacks: 1 + (minute % 3),
  unpackedBytes: (200 + ((minute * 13) % 90)) * 2 ** 20 * 60,
  unpackedLayers: 5,
});

const idle = { waitingJobs: 0, oldestWaitingMs: 0, runningUnpacks: 0 };
