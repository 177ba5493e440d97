// Room: service. Owns the status of a snapmill: what runs, what is queued, how full the pool is.
import { z } from "zod";
import { type Config, paths, redisUrl } from "../config.ts";
import { itemStates } from "../domain/batches.ts";
import { deviceStates } from "../domain/devices.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { snapshotKinds } from "../domain/snapshots.ts";
import { poolUsageOf, recordedDriver } from "../drivers/open.ts";
import type { PoolUsage } from "../drivers/port.ts";
import type { PoolClaim } from "../jobs/claims/pool-claims.ts";
import { jobs } from "../jobs/contract.ts";
import { redisLabel } from "../jobs/redis/url.ts";
import { countItemsByState } from "../metadata/batch-items.ts";
import { countDevicesByState } from "../metadata/devices.ts";
import { countPending } from "../metadata/outbox.ts";
import { countRemovals } from "../metadata/pending-removals.ts";
import { readPool } from "../metadata/pool.ts";
import { unpackHold } from "../metadata/queue-holds.ts";
import { countSnapshotsByKind } from "../metadata/snapshots.ts";
import { listSetAside } from "../metadata/strikes.ts";
import { findRunning, runningShape } from "../supervisor/running.ts";
import { chooseInflate } from "../system/inflate/choice.ts";
import { operation } from "./operation.ts";
import { readinessShape } from "./readiness.ts";
import { connect, knownNumber } from "./running-client.ts";
import type { PoolService } from "./service.ts";
import { storeIfAny } from "./store.ts";

const count = z.number();
const bothQueues = <Shape extends z.ZodType>(shape: Shape) => z.object({ pool: shape, unpack: shape });
const fill = z.object({ usedBytes: z.number(), totalBytes: z.number() });

const queues = z.object({
  /** Its URL without the password; `failure`: why it does not answer. Null: nothing runs, and Redis is private. */
  redis: z.object({ url: z.string(), failure: z.string().nullable() }).nullable(),
  queues: bothQueues(
    z.object({ waiting: count, active: count, delayed: count, completed: count, failed: count }),
  ).nullable(),
  /** How long the oldest job has waited in each queue; 0: none waits. */
  oldestWaitingMs: bothQueues(count).nullable(),
  /** The number of processes connected to each queue. */
  workers: bothQueues(count).nullable(),
  /** The database that owns the pool's name in Redis; null: the name is free, or the queue cannot be read. */
  claim: z
    .object({
      database: z.number(),
      host: z.string(),
      stateDir: z.string(),
      claimedAt: z.string(),
      seenAt: z.string(),
      isOurs: z.boolean(),
    })
    .nullable(),
});
export type Queues = z.output<typeof queues>;

const metadata = z.object({
  driver: z.string().nullable(),
  snapshots: z.record(z.enum(snapshotKinds), count),
  devices: z.partialRecord(z.enum(deviceStates), count),
  pendingUnpacks: count,
  /** Who holds the unpack queue by a command; null: nobody. */
  hold: jobs["hold-queue"].result.nullable(),
  /** Images of all batches that the pool remembers. */
  batchItems: z.record(z.enum(itemStates), count),
  /** Devices that are not deleted yet although their snapshots are, including removals that were given up. */
  pendingRemovals: count,
  /** Those of them that were given up. */
  failedRemovals: count,
  /** Devices that stay in the pool because an operator has discarded their removal. */
  discardedRemovals: count,
  /** Operations that are no longer retried because workers died executing them. */
  setAside: count,
  /** Null: the pool is not attached. */
  space: fill.nullable(),
  /** The metadata of a thin-pool; null: it is not attached, or the pool has another driver. */
  metadataSpace: fill.nullable(),
  poolState: z.string().nullable(),
});
type Metadata = z.output<typeof metadata>;

const shape = z.object({
  stateDir: z.string(),
  pool: z.string(),
  /** The library that decompresses gzip; `reason`: why it is not ISA-L. */
  inflate: z.object({ library: z.string(), version: z.string().nullable(), reason: z.string().nullable() }),
  /** Null: nothing runs for the state directory. */
  running: runningShape.nullable(),
  /** Null: no `up` runs for the pool. */
  readiness: readinessShape.nullable(),
  ...queues.shape,
  /** Null: there is no pool yet. */
  metadata: metadata.nullable(),
});
export type Status = z.output<typeof shape>;

export const status = operation(
  { input: z.object({}), output: shape },
  async (service: Pick<PoolService, "config" | "readiness">): Promise<Status> => {
    const { config } = service;
    const running = (await findRunning(config)) ?? null;
    const [readiness = null, queues, found] = await Promise.all([
      service.readiness(),
      // A private Redis exists only while something runs. An external one is always asked: another host may own the
      // name.
      running === null && config.redisUrl === undefined ? unknownQueues : readQueues(config),
      readMetadata(config),
    ]);
    return {
      stateDir: config.stateDir,
      pool: config.pool,
      inflate: inflateOf(config),
      running,
      readiness,
      ...queues,
      metadata: found,
    };
  },
);

/** As an unpack on this host would choose; what cannot be had is a reason here. */
function inflateOf({ inflate }: Config): z.output<typeof shape>["inflate"] {
  try {
    const { library, version = null, reason = null } = chooseInflate(inflate);
    return { library, version, reason };
  } catch (error) {
    return { library: "none", version: null, reason: asSnapmillError(error).message };
  }
}

/** Of a queue that cannot be read. */
export const unknownQueues: Queues = {
  redis: null,
  queues: null,
  oldestWaitingMs: null,
  workers: null,
  claim: null,
};

export async function readQueues(config: Config): Promise<Queues> {
  const url = redisLabel(redisUrl(config));
  try {
    await using client = await connect(config);
    const [counts, oldestWaitingMs, workers, claim] = await Promise.all([
      client.counts(),
      client.oldestWaitingMs(),
      client.workers(),
      client.claim(),
    ]);
    const shown = claim === undefined ? null : claimOf(claim, knownNumber(config));
    return { redis: { url, failure: null }, queues: counts, oldestWaitingMs, workers, claim: shown };
  } catch (error) {
    return { ...unknownQueues, redis: { url, failure: asSnapmillError(error).message } };
  }
}

const claimOf = (claim: PoolClaim, ours: number | undefined): Queues["claim"] => ({
  database: claim.database,
  host: claim.host,
  stateDir: claim.stateDir,
  claimedAt: new Date(claim.claimedAtMs).toISOString(),
  seenAt: new Date(claim.seenAtMs).toISOString(),
  isOurs: claim.database === ours,
});

export async function readMetadata(config: Config): Promise<Metadata | null> {
  using database = storeIfAny(config);
  if (database === undefined) return null;
  const driver = readPool(database)?.driver;
  const space = driver === undefined ? undefined : await poolSpace(config, driver);
  const removals = countRemovals(database);
  return {
    driver: driver ?? null,
    snapshots: countSnapshotsByKind(database),
    devices: countDevicesByState(database),
    pendingUnpacks: countPending(database, "unpack"),
    hold: unpackHold(database) ?? null,
    batchItems: countItemsByState(database),
    pendingRemovals: removals.pending + removals.failed,
    failedRemovals: removals.failed,
    discardedRemovals: removals.discarded,
    setAside: listSetAside(database).length,
    space: space === undefined ? null : { usedBytes: space.usedBytes, totalBytes: space.totalBytes },
    metadataSpace: space?.metadata ?? null,
    poolState: space?.state ?? null,
  };
}

/** How full the pool is, read without a job, so without waiting in the queue. Undefined: it is not attached. */
const poolSpace = (config: Config, driver: string): Promise<PoolUsage | undefined> =>
  poolUsageOf(recordedDriver(driver), paths.poolDir(config), config.dmControl);
