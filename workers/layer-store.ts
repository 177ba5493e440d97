// Room: workers. Owns what unpacking knows of the pool: reads from its metadata, changes through its queue.
import { setTimeout as delay } from "node:timers/promises";
import { failedPrecondition, isSnapmillError } from "../src/domain/errors.ts";
import { type ChainId, freshOperationId, ownScope, type SnapshotKey, snapshotKey } from "../src/domain/identifiers.ts";
import { labelNames } from "../src/domain/snapshots.ts";
import type { Arguments, JobClient } from "../src/jobs/client.ts";
import type { PoolJobName, Result } from "../src/jobs/contract.ts";
import type { Database } from "../src/metadata/database.ts";
import { deviceOf, lookUpSnapshot } from "../src/metadata/snapshots.ts";
import { walkSnapshots } from "../src/metadata/walk.ts";
import { draftMountOptions } from "../src/system/filesystems.ts";
import type { LayerStore } from "../src/unpack/chain.ts";

/** A snapshot operation waits behind all that the pool has to do; a bulk of images can be ahead of it. */
const deadlineMs = 15 * 60_000;
/** How long to bear with a Redis that is away before the layer is given up. */
const patienceMs = 20_000;
/** How long a device may stay busy after its writer was killed: the kernel unmounts when the process is reaped. */
const busyMs = 5_000;

/** What a store asks of the pool's queue. */
export type LayerJobs = Pick<JobClient, "call">;

export interface LayerStoreOptions {
  readonly database: Database;
  readonly client: LayerJobs;
  /** The image that brings the layers, for people. */
  readonly image: string;
  readonly onLeftBehind: (key: SnapshotKey, error: unknown) => void;
}

export function createLayerStore({ database, client, image, onLeftBehind }: LayerStoreOptions): LayerStore {
  /** One operation, asked for again under the same ID while Redis does not answer: it has one effect. */
  const call = async <Name extends PoolJobName>(name: Name, payload: Arguments<Name>): Promise<Result<Name>> => {
    const operationId = freshOperationId();
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      try {
        return await client.call(name, payload, { operationId, deadlineMs });
      } catch (error) {
        if (!isSnapmillError(error, "unavailable") || performance.now() > giveUpAt) throw error;
        await delay(250);
      }
    }
  };

  return {
    committedBytes: (chainId) => committedBytes(database, chainId),
    attempts: (chainId) => attemptsOf(database, chainId),
    prepare: async (key, parent, chainId) => {
      const labels = { [labelNames.unpackChain]: chainId };
      const { mounts } = await call("prepare", { scope: ownScope, key, ...(parent && { parent }), labels });
      const [mount] = mounts;
      if (mount === undefined) throw failedPrecondition(`the pool prepared ${key} without a mount`);
      const { fsType } = deviceOf(database, ownScope, key);
      // An attempt counts only once commit has flushed it: nothing needs to wait for the disk before.
      return { devicePath: mount.source, fsType, mountOptions: draftMountOptions(fsType) };
    },
    commit: async (chainId, key, bytes) => {
      const labels = { [labelNames.unpackImage]: image.slice(0, 2048), [labelNames.unpackBytes]: String(bytes) };
      await call("commit", { scope: ownScope, name: snapshotKey(chainId), key, labels });
    },
    discard: async (key) => {
      try {
        await removeOnceIdle(() => call("remove", { scope: ownScope, key }));
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

async function removeOnceIdle(remove: () => Promise<unknown>): Promise<void> {
  const giveUpAt = performance.now() + busyMs;
  for (;;) {
    try {
      await remove();
      return;
    } catch (error) {
      if (!isSnapmillError(error, "failed_precondition") || performance.now() > giveUpAt) throw error;
      await delay(50);
    }
  }
}
