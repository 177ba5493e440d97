// Room: service. Owns the history of a pool as it is asked for: points of a range, what was done meanwhile, and the trend.
import { z } from "zod";
import {
  type HistoryPoint,
  type HistoryRange,
  historyRanges,
  historyRings,
  spanMs,
  thinned,
} from "../domain/history.ts";
import { fillsOf, type Trend, trendOf } from "../domain/trend.ts";
import type { Database } from "../metadata/database.ts";
import { readHistory } from "../metadata/history.ts";
import { mark, marksOf } from "./history-marks.ts";
import { operation } from "./operation.ts";
import type { PoolService } from "./service.ts";
import { recordsIfAny } from "./service-records.ts";
import { storeIfAny } from "./store.ts";

const fill = z.object({ usedBytes: z.number(), totalBytes: z.number() });
const known = z.number().nullable();

const point = z.object({
  /** The beginning of its step. */
  atMs: z.number(),
  /** On average. Null: the pool was not attached. */
  data: fill.nullable(),
  metadata: fill.nullable(),
  /** The most in the step; null: they were not known. */
  snapshots: known,
  devices: known,
  pendingRemovals: known,
  failedRemovals: known,
  /** In both queues. */
  waitingJobs: known,
  oldestWaitingMs: known,
  runningUnpacks: known,
  /** Uncompressed. */
  unpackedBytesPerSecond: z.number(),
  unpackedLayersPerSecond: z.number(),
  /** Workers that were started again. */
  restarts: z.number(),
  /** How many operations have failed, by job and code; those that fail because of what is there or not are left out. */
  failures: z.record(z.string(), z.number()),
  /** The share of the time in which all was ready, 0 to 1. */
  readyShare: z.number(),
});

const trend = z
  .object({
    /** At the present rate. */
    fullAtMs: z.number(),
    bytesPerSecond: z.number(),
    /** How much of the variance the straight line explains, 0 to 1. */
    fit: z.number(),
  })
  .nullable();

const shape = z.object({
  range: z.enum(historyRanges),
  fromMs: z.number(),
  untilMs: z.number(),
  /** Between two points. A step without a point was not recorded. */
  stepMs: z.number(),
  points: z.array(point),
  marks: z.array(mark),
  /** When the pool is full if it goes on as in the last hour; null: it does not grow, or nothing can be said. */
  trend: z.object({ data: trend, metadata: trend }),
});
export type History = z.output<typeof shape>;

const mostPoints = 1_440;

/** What a pool was like in the last hour, day or quarter. Read from what `up` has recorded; no job, and no `up`, is needed. */
export const history = operation(
  {
    input: z.object({
      range: z.enum(historyRanges).prefault("hour"),
      /** At most so many. */
      points: z.number().int().min(1).max(mostPoints).prefault(360),
    }),
    output: shape,
  },
  ({ config }: Pick<PoolService, "config">, { range, points }): Promise<History> => {
    const untilMs = Date.now();
    const bounds = { afterMs: untilMs - spanMs(range), untilMs };
    using records = recordsIfAny(config);
    using store = storeIfAny(config);
    const { pool } = config;
    const found = records === undefined ? [] : readHistory(records, { pool, ring: range, ...bounds });
    const stepMs = stepFor(range, points);
    return Promise.resolve({
      range,
      fromMs: bounds.afterMs,
      untilMs,
      stepMs,
      points: thinned(found, stepMs).slice(-points).map(described),
      marks: marksOf(pool, { audit: records, ...(store && { records: store }) }, bounds),
      trend: readTrend(records, pool, untilMs),
    });
  },
);

/** The trend at a time, from the last hour. */
export function readTrend(
  records: Database | undefined,
  pool: string,
  nowMs: number,
): { readonly data: Trend | null; readonly metadata: Trend | null } {
  if (records === undefined) return { data: null, metadata: null };
  const lastHour = readHistory(records, { pool, ring: "hour", afterMs: nowMs - spanMs("hour"), untilMs: nowMs });
  const of = (area: "data" | "metadata") => trendOf(fillsOf(lastHour, area), nowMs) ?? null;
  return { data: of("data"), metadata: of("metadata") };
}

/** A whole number of the ring's steps. The range may touch one step more than fits into it. */
function stepFor(range: HistoryRange, points: number): number {
  const { stepMs, places } = historyRings[range];
  return stepMs * Math.ceil(places / points);
}

function described(found: HistoryPoint): z.output<typeof point> {
  const { dataUsedBytes, dataTotalBytes, metadataUsedBytes, metadataTotalBytes } = found;
  const { unpackedBytes, unpackedLayers, elapsedMs, samples, readySamples, ...others } = found;
  const perSecond = (amount: number) => (elapsedMs === 0 ? 0 : (1000 * amount) / elapsedMs);
  return {
    atMs: others.atMs,
    data: fillOf(dataUsedBytes, dataTotalBytes),
    metadata: fillOf(metadataUsedBytes, metadataTotalBytes),
    snapshots: others.snapshots,
    devices: others.devices,
    pendingRemovals: others.pendingRemovals,
    failedRemovals: others.failedRemovals,
    waitingJobs: others.waitingJobs,
    oldestWaitingMs: others.oldestWaitingMs,
    runningUnpacks: others.runningUnpacks,
    unpackedBytesPerSecond: perSecond(unpackedBytes),
    unpackedLayersPerSecond: perSecond(unpackedLayers),
    restarts: others.restarts,
    failures: { ...others.failures },
    readyShare: readySamples / samples,
  };
}

const fillOf = (usedBytes: number | null, totalBytes: number | null): z.output<typeof fill> | null =>
  usedBytes === null || totalBytes === null ? null : { usedBytes, totalBytes };
