// Room: workers. Owns what unpacking knows of the pool: reads from its metadata, changes through its queue.
import {
  asSnapmillError,
  failedPrecondition,
  isSnapmillError,
  type SnapmillError,
  unavailable,
} from "../src/domain/errors.ts";
import { type ChainId, ownScope, type SnapshotKey, snapshotKey } from "../src/domain/identifiers.ts";
import { labelNames } from "../src/domain/snapshots.ts";
import type { PoolJobName, Result } from "../src/jobs/contract.ts";
import type { Arguments } from "../src/jobs/requests/client.ts";
import type { Database } from "../src/metadata/database.ts";
import { deviceOf, lookUpSnapshot } from "../src/metadata/snapshots.ts";
import { walkSnapshots } from "../src/metadata/walk.ts";
import { onceIdle } from "../src/service/once-idle.ts";
import { draftMountOptions } from "../src/system/mount/filesystems.ts";
import type { LayerStore } from "../src/unpack/chain.ts";
import { callPatiently, type Patience, type PoolJobs } from "./pool-calls.ts";

/** How long to bear with a pool or a Redis that is away while nothing has been written yet. */
const prepareAwayMs = 60_000;
/** How long one attempt at a removal may take: what is not removed by then is, by its job or by the sweep. */
const discardMs = 10_000;
/** How long a device may stay busy after its writer was killed: the kernel unmounts when the process is reaped. */
const busyMs = 5_000;

export interface LayerStoreOptions {
  readonly database: Database;
  readonly client: PoolJobs;
  /** The image that brings the layers, for people. */
  readonly image: string;
  readonly onLeftBehind: (key: SnapshotKey, error: unknown) => void;
  /** Told of each attempt at an operation that failed and will be repeated. */
  readonly onFailure: (operation: string, failure: SnapmillError) => void;
}

export function createLayerStore(options: LayerStoreOptions): LayerStore {
  const { database, client, image, onLeftBehind } = options;
  const call = <Name extends PoolJobName>(
    name: Name,
    payload: Arguments<Name>,
    patience: Omit<Patience, "onFailure">,
  ): Promise<Result<Name>> =>
    callPatiently(client, name, payload, { ...patience, onFailure: (failure) => options.onFailure(name, failure) });

  return {
    committedBytes: (chainId) => reading(() => committedBytes(database, chainId)),
    attempts: (chainId) => reading(() => attemptsOf(database, chainId)),
    prepare: async (key, parent, chainId, signal) => {
      const labels = { [labelNames.unpackChain]: chainId };
      const given = { scope: ownScope, key, ...(parent && { parent }), labels };
      const { mounts } = await call("prepare", given, { awayMs: prepareAwayMs, signal });
      const [mount] = mounts;
      if (mount === undefined) throw failedPrecondition(`the pool prepared ${key} without a mount`);
      const { fsType } = reading(() => deviceOf(database, ownScope, key));
      // An attempt counts only once commit has flushed it: nothing needs to wait for the disk before.
      return { devicePath: mount.source, fsType, mountOptions: draftMountOptions(fsType) };
    },
    commit: async (chainId, key, bytes, signal) => {
      const labels = { [labelNames.unpackImage]: image.slice(0, 2048), [labelNames.unpackBytes]: String(bytes) };
      const given = { scope: ownScope, name: snapshotKey(chainId), key, labels };
      // A layer that is written is worth any wait; who does not want to wait cancels the image.
      const patience = { awayMs: Number.POSITIVE_INFINITY, signal, whenEnded: "leave" } as const;
      await call("commit", given, patience);
    },
    discard: async (key) => {
      try {
        const untilMs = performance.now() + busyMs;
        await onceIdle(untilMs, () => client.call("remove", { scope: ownScope, key }, { deadlineMs: discardMs }));
      } catch (error) {
        if (!isSnapmillError(error, "not_found")) onLeftBehind(key, error);
      }
    },
  };
}

function committedBytes(database: Database, chainId: ChainId): number | undefined {
  const snapshot = lookUpSnapshot(database, ownScope, snapshotKey(chainId));
  if (snapshot?.kind !== "committed") return undefined;
  return Number(snapshot.labels[labelNames.unpackBytes] ?? 0);
}

const attemptsOf = (database: Database, chainId: ChainId): SnapshotKey[] =>
  [...walkSnapshots(database, { scope: ownScope, filters: [`labels."${labelNames.unpackChain}"==${chainId}`] })]
    .filter(({ kind }) => kind === "active")
    .map(({ key }) => key);

/** Whatever keeps the database from being read (a lock, the disk) says nothing of the image: the job is tried again. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isSnapmillError(error)) throw error;
    throw unavailable(`the pool's database cannot be read: ${asSnapmillError(error).message}`, error);
  }
}
