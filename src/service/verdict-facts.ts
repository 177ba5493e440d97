// Room: service. Owns the gathering of a verdict's facts: from what `up` watches and has recorded, and from the pool's database.

import { isBatchOver } from "../domain/batches.ts";
import { asSnapmillError, isSnapmillError } from "../domain/errors.ts";
import { type HistoryPoint, historyRanges, spanMs } from "../domain/history.ts";
import { describeHolders } from "../domain/holders.ts";
import { holdsSince } from "../domain/standing.ts";
import {
  type AreaFacts,
  type FailedBatch,
  type FailingRemovals,
  fullShare,
  type VerdictFacts,
} from "../domain/verdict-facts.ts";
import { countAllItems, countItemsIn, failingSinceMs } from "../metadata/batch-items.ts";
import { listBatches, summaryOf } from "../metadata/batches.ts";
import type { Database } from "../metadata/database.ts";
import { readHistory } from "../metadata/history.ts";
import { type TroubledRemoval, troubledRemovals } from "../metadata/pending-removals.ts";
import { readPool } from "../metadata/pool.ts";
import { unpackHold } from "../metadata/queue-holds.ts";
import { listSetAside } from "../metadata/strikes.ts";
import { readTrend } from "./history.ts";
import { holdersOfDevices } from "./holders.ts";
import type { PoolService } from "./service.ts";

/** What comes of the pool's own database, and its devices. */
type PoolPart = Pick<
  VerdictFacts,
  "hasPool" | "hold" | "setAside" | "failedRemovals" | "failingRemovals" | "failedBatches"
>;
/** What comes of the history. */
type HistoryPart = Pick<VerdictFacts, "data" | "metadata" | "unpacksIdleSinceMs">;

const noRemovals: FailingRemovals = { count: 0, error: null, sinceMs: null, holder: null, bytes: 0 };
const nothingKnown: PoolPart = {
  hasPool: false,
  hold: undefined,
  setAside: { count: 0, jobs: [], sinceMs: null },
  failedRemovals: noRemovals,
  failingRemovals: noRemovals,
  failedBatches: [],
};

/** A removal that has failed less often may just have met a device that was about to be released. */
const failingAttempts = 3;

export async function poolPart(service: PoolService, nowMs: number): Promise<PoolPart> {
  const database = databaseIfAny(service);
  if (database === undefined || readPool(database) === undefined) return nothingKnown;
  const setAside = listSetAside(database);
  const removals = troubledRemovals(database, failingAttempts);
  const found = {
    hasPool: true,
    hold: unpackHold(database),
    setAside: {
      count: setAside.length,
      jobs: setAside.map(({ job }) => job),
      sinceMs: setAside[0]?.lastAtMs ?? null,
    },
    failedBatches: failedBatches(database, nowMs),
  };
  const [failedRemovals, failingRemovals] = await Promise.all(
    [true, false].map((isGivenUp) =>
      together(
        service,
        removals.filter((removal) => removal.isGivenUp === isGivenUp),
      ),
    ),
  );
  return { ...found, failedRemovals: failedRemovals ?? noRemovals, failingRemovals: failingRemovals ?? noRemovals };
}

/** An unreadable database is told by `up`. */
function databaseIfAny({ database }: PoolService): Database | undefined {
  try {
    return database();
  } catch (error) {
    if (isSnapmillError(error, "not_found") || isSnapmillError(error, "unavailable")) return undefined;
    throw asSnapmillError(error);
  }
}

async function together(service: PoolService, removals: readonly TroubledRemoval[]): Promise<FailingRemovals> {
  const [first] = removals;
  if (first === undefined) return noRemovals;
  const found = await holdersOfDevices(service, [first.device]).catch(() => undefined);
  const { holders = [], more = 0 } = found?.get(first.device) ?? {};
  return {
    count: removals.length,
    error: first.lastError,
    sinceMs: first.failingSinceMs,
    holder: holders.length === 0 ? null : describeHolders(holders, more),
    bytes: removals.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** Batches that are looked into, from the latest on. */
const mostBatches = 20;
/** What has ended before was seen, or nobody cares. */
const batchMs = 86_400_000;

const failedBatches = (database: Database, nowMs: number): FailedBatch[] =>
  listBatches(database, mostBatches).flatMap((record) => {
    const { batch, name = null, createdAtMs } = record;
    const failed = countItemsIn(database, batch, "failed");
    if (failed === 0) return [];
    const isOver = isBatchOver(summaryOf(database, record).state);
    if (isOver && nowMs - createdAtMs > batchMs) return [];
    const sinceMs = failingSinceMs(database, batch);
    return [{ batch, name, failed, items: countAllItems(database, batch), isOver, sinceMs }];
  });

/** A point that is older says nothing of now. */
const lateMs = 60_000;

export function historyPart(records: Database | undefined, pool: string, nowMs: number): HistoryPart {
  const read = (ring: (typeof historyRanges)[number]) =>
    records === undefined ? [] : readHistory(records, { pool, ring, afterMs: nowMs - spanMs(ring), untilMs: nowMs });
  const lastHour = read("hour");
  const last = lastHour.at(-1);
  const isLate = last === undefined || nowMs - last.atMs > lateMs;
  if (isLate) return { data: undefined, metadata: undefined, unpacksIdleSinceMs: null };
  const trend = readTrend(records, pool, nowMs);
  const area = (name: "data" | "metadata"): AreaFacts | undefined => {
    const usedBytes = last[`${name}UsedBytes`];
    const totalBytes = last[`${name}TotalBytes`];
    if (usedBytes === null || totalBytes === null) return undefined;
    const isFull = (point: HistoryPoint) => isFullIn(point, name);
    return { usedBytes, totalBytes, trend: trend[name], fullSinceMs: longSince(read, isFull) };
  };
  const isIdle = ({ runningUnpacks, unpackedLayers }: HistoryPoint) =>
    (runningUnpacks ?? 0) > 0 && unpackedLayers === 0;
  const idle = holdsSince(lastHour, isIdle)?.sinceMs ?? null;
  return { data: area("data"), metadata: area("metadata"), unpacksIdleSinceMs: idle };
}

function isFullIn(point: HistoryPoint, name: "data" | "metadata"): boolean {
  const [usedBytes, totalBytes] = [point[`${name}UsedBytes`], point[`${name}TotalBytes`]];
  return usedBytes !== null && totalBytes !== null && usedBytes >= fullShare * totalBytes;
}

/** From the finest ring that goes back beyond it. */
function longSince(
  read: (ring: (typeof historyRanges)[number]) => readonly HistoryPoint[],
  holds: (point: HistoryPoint) => boolean,
): number | null {
  let sinceMs: number | null = null;
  for (const ring of historyRanges) {
    const found = holdsSince(read(ring), holds);
    if (found === undefined) return sinceMs;
    sinceMs = Math.min(sinceMs ?? found.sinceMs, found.sinceMs);
    if (!found.reachesBack) return sinceMs;
  }
  return sinceMs;
}
