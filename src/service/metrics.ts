// Room: service. Owns the metrics of a snapmill: each is declared once, and read from the status.
import { z } from "zod";
import { deviceStates } from "../domain/devices.ts";
import { snapshotKinds } from "../domain/snapshots.ts";
import { poolStates } from "../drivers/port.ts";
import type { LocalService } from "./local-service.ts";
import { operation } from "./operation.ts";
import { type Status, status } from "./status.ts";

const sample = z.object({ labels: z.record(z.string(), z.string()), value: z.number() });
type Sample = z.output<typeof sample>;

/** The values of each label are few and known: never a key, a digest, a device or an image. */
type LabelName = "queue" | "state" | "kind" | "area" | "driver";

/** A Prometheus metric, apart from the label `pool`, which every sample gets. */
interface Metric {
  /** Contains the unit: bytes, seconds. */
  readonly name: string;
  readonly help: string;
  /** The labels besides `pool`. */
  readonly labels: readonly LabelName[];
  /** Samples for all possible states, even if the count is 0. Null: currently unknown (no Redis, no pool yet). */
  readonly read: (found: Status) => readonly Sample[] | null;
}

const queueNames = ["pool", "unpack"] as const;

/** Every metric, in the order in which /metrics shows them; docs/METRICS.md describes the same ones. */
export const metrics: readonly Metric[] = [
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
    name: "snapmill_queue_workers",
    help: "Workers connected to a queue",
    labels: ["queue"],
    read: ({ workers }) => workers && countsBy("queue", workers),
  },
  {
    name: "snapmill_removals",
    help: "Devices of removed snapshots that are still to be deleted; failed: given up after every attempt",
    labels: ["state"],
    read: ({ metadata, failedRemovals }) => {
      if (metadata === null || failedRemovals === null) return null;
      // The two are read one after the other, and a removal may end in between.
      const pending = Math.max(0, metadata.pendingRemovals - failedRemovals);
      return countsBy("state", { pending, failed: failedRemovals });
    },
  },
  {
    name: "snapmill_unpacks_pending",
    help: "Accepted unpacks that have not ended",
    labels: [],
    read: ({ metadata }) => metadata && [single(metadata.pendingUnpacks)],
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
  {
    name: "snapmill_pool_info",
    help: "Always 1; the label is the pool's driver",
    labels: ["driver"],
    read: ({ metadata }) => {
      const driver = metadata?.driver ?? null;
      return driver === null ? null : countsBy("driver", { [driver]: 1 });
    },
  },
];

const single = (value: number | boolean): Sample => ({ labels: {}, value: Number(value) });

const countsBy = (label: string, counts: Readonly<Record<string, number>>, others = {}): Sample[] =>
  Object.entries(counts).map(([name, value]) => ({ labels: { ...others, [label]: name }, value }));

const zeroOf = (states: readonly string[]): Record<string, number> =>
  Object.fromEntries(states.map((state) => [state, 0]));

/** A pool without a metadata device has no area for it. */
function fills({ metadata }: Status, field: "usedBytes" | "totalBytes"): Sample[] | null {
  if (metadata === null || metadata.space === null) return null;
  const { space, metadataSpace } = metadata;
  return countsBy("area", {
    data: space[field],
    ...(metadataSpace !== null && { metadata: metadataSpace[field] }),
  });
}

const reading = z.object({
  name: z.string(),
  help: z.string(),
  labels: z.array(z.string()).readonly(),
  samples: z.array(sample),
});
export type MetricReading = z.output<typeof reading>;

/** All current metrics, every sample with the pool's name; a metric that is currently unknown is left out. */
export const readMetrics = operation(
  { input: z.object({}), output: z.array(reading) },
  async (service: LocalService): Promise<MetricReading[]> => {
    const found = await status(service, {});
    const { pool } = found;
    return metrics.flatMap(({ name, help, labels, read }) => {
      const samples = read(found)?.map((each) => ({ ...each, labels: { pool, ...each.labels } }));
      return samples === undefined ? [] : [{ name, help, labels: ["pool", ...labels], samples }];
    });
  },
);
