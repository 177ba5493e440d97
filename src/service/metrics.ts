// Room: service. Owns the gauges of a snapmill: each is declared once, and read from the status. What its processes observe
// at work is declared in domain/observed-metrics.ts.
import { itemStates } from "../domain/batches.ts";
import { deviceStates } from "../domain/devices.ts";
import { snapshotKinds } from "../domain/snapshots.ts";
import { poolStates } from "../drivers/port.ts";
import type { Queues, Status } from "./status.ts";

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Of a part of a histogram. Default: that of the metric. */
  readonly metricName?: string;
}

/** The values of each label are few and known: never a key, a digest, a device or an image. */
type LabelName = "queue" | "state" | "kind" | "area" | "part";

/** What gauges are read from. */
export type Found = Queues & Pick<Status, "metadata">;

/** A gauge, apart from the label `pool`, which every sample gets. */
export interface StatusGauge {
  /** Contains the unit: bytes, seconds. */
  readonly name: string;
  readonly help: string;
  /** The labels besides `pool`. */
  readonly labels: readonly LabelName[];
  /** Samples for all possible states, even if the count is 0. Null: currently unknown (no Redis, no pool yet). */
  readonly read: (found: Found) => readonly Sample[] | null;
}

const queueNames = ["pool", "unpack"] as const;

/** What a scrape asks others for, and may not get in time. */
export const scrapeParts = ["queues", "pool"] as const;

export const statusGauges: readonly StatusGauge[] = [
  {
    name: "snapmill_scrape_incomplete",
    help: "1 if the metrics that are read from the queues, or from the pool, are missing from this scrape",
    labels: ["part"],
    read: ({ queues, metadata }) =>
      countsBy("part", { queues: Number(queues === null), pool: Number(metadata === null) }),
  },
  {
    name: "snapmill_redis_up",
    help: "1 if Redis answers",
    labels: [],
    read: ({ redis }) => [single(redis !== null && redis.failure === null)],
  },
  {
    name: "snapmill_queue_jobs",
    help: "Jobs in a queue by state",
    labels: ["queue", "state"],
    read: ({ queues }) => queues && queueNames.flatMap((queue) => countsBy("state", queues[queue], { queue })),
  },
  {
    name: "snapmill_queue_oldest_job_age_seconds",
    help: "How long the oldest job of a queue has waited; 0: none waits",
    labels: ["queue"],
    read: ({ oldestWaitingMs }) =>
      oldestWaitingMs &&
      countsBy("queue", { pool: oldestWaitingMs.pool / 1000, unpack: oldestWaitingMs.unpack / 1000 }),
  },
  {
    name: "snapmill_queue_workers",
    help: "Workers connected to a queue",
    labels: ["queue"],
    read: ({ workers }) => workers && countsBy("queue", workers),
  },
  {
    name: "snapmill_removals",
    help: "Devices of removed snapshots that are still to be deleted; failed: given up after every attempt; discarded: by an operator",
    labels: ["state"],
    read: ({ metadata }) => {
      if (metadata === null) return null;
      const { pendingRemovals, failedRemovals: failed, discardedRemovals: discarded } = metadata;
      return countsBy("state", { pending: pendingRemovals - failed, failed, discarded });
    },
  },
  {
    name: "snapmill_unpacks_pending",
    help: "Accepted unpacks that have not ended",
    labels: [],
    read: ({ metadata }) => metadata && [single(metadata.pendingUnpacks)],
  },
  {
    name: "snapmill_batch_items",
    help: "Images of all batches that the pool remembers, by state",
    labels: ["state"],
    read: ({ metadata }) => metadata && countsBy("state", { ...zeroOf(itemStates), ...metadata.batchItems }),
  },
  {
    name: "snapmill_operations_set_aside",
    help: "Operations that are no longer retried because workers died executing them",
    labels: [],
    read: ({ metadata }) => metadata && [single(metadata.setAside)],
  },
  {
    name: "snapmill_snapshots",
    help: "Snapshots by kind",
    labels: ["kind"],
    read: ({ metadata }) => metadata && countsBy("kind", { ...zeroOf(snapshotKinds), ...metadata.snapshots }),
  },
  {
    name: "snapmill_devices",
    help: "Block devices by recorded state",
    labels: ["state"],
    read: ({ metadata }) => metadata && countsBy("state", { ...zeroOf(deviceStates), ...metadata.devices }),
  },
  {
    name: "snapmill_pool_used_bytes",
    help: "Bytes of the pool in use",
    labels: ["area"],
    read: (found) => fills(found, "usedBytes"),
  },
  {
    name: "snapmill_pool_size_bytes",
    help: "Size of the pool in bytes",
    labels: ["area"],
    read: (found) => fills(found, "totalBytes"),
  },
  {
    name: "snapmill_pool_state",
    help: "1 for the current state of a thin-pool; absent for other pools",
    labels: ["state"],
    read: ({ metadata }) => {
      const state = metadata?.poolState ?? null;
      return state === null ? null : countsBy("state", { ...zeroOf(poolStates), [state]: 1 });
    },
  },
];

const single = (value: number | boolean): Sample => ({ labels: {}, value: Number(value) });

const countsBy = (label: string, counts: Readonly<Record<string, number>>, others = {}): Sample[] =>
  Object.entries(counts).map(([name, value]) => ({ labels: { ...others, [label]: name }, value }));

const zeroOf = (states: readonly string[]): Record<string, number> =>
  Object.fromEntries(states.map((state) => [state, 0]));

/** A pool without a metadata device has no area for it. */
function fills({ metadata }: Found, field: "usedBytes" | "totalBytes"): Sample[] | null {
  if (metadata === null || metadata.space === null) return null;
  const { space, metadataSpace } = metadata;
  return countsBy("area", {
    data: space[field],
    ...(metadataSpace !== null && { metadata: metadataSpace[field] }),
  });
}
