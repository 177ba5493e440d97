// Room: workers. Owns what unpacking knows of the pool: reads from its metadata, changes through its queue.
import type { DraftCopies } from "../src/domain/devices.ts";
import {
  aborted,
  asSnapmillError,
  failedPrecondition,
  isSnapmillError,
  type SnapmillError,
  unavailable,
} from "../src/domain/errors.ts";
import { type ChainId, type OperationId, ownScope, type SnapshotKey, snapshotKey } from "../src/domain/identifiers.ts";
import { labelNames } from "../src/domain/snapshots.ts";
import type { Arguments, PoolJobName, Result } from "../src/jobs/contract.ts";
import type { Database } from "../src/metadata/database.ts";
import { committedLayerBytes, layerAttempts } from "../src/metadata/layers.ts";
import { onceIdle } from "../src/service/once-idle.ts";
import { draftMountOptions } from "../src/system/mount/filesystems.ts";
import type { LayerStore } from "../src/unpack/chain.ts";
import { callPatiently, type Patience, type PoolJobs } from "./pool-calls.ts";

/** How long a pool or a Redis that is away is retried while nothing has been written yet. */
const prepareAwayMs = 60_000;
/** How long one removal may take. What is left then is removed by the job, which stays queued, or by the sweep. */
const discardMs = 10_000;
/** How long a device may stay busy after its writer was killed: the kernel unmounts when the process is reaped. */
const busyMs = 5_000;

export interface LayerStoreOptions {
  readonly database: Database;
  readonly client: PoolJobs;
  /** Of the unpack: what it commits is not removed before it has ended. */
  readonly operationId: OperationId;
  /** Where copies of the device at this path can be left; undefined: nowhere. */
  readonly copiesOf?: (devicePath: string) => DraftCopies | undefined;
  /** The image that the layers belong to: a label for people. */
  readonly image: string;
  readonly onLeftBehind: (key: SnapshotKey, error: unknown) => void;
  /** Called for each failed attempt at an operation that will be retried. */
  readonly onFailure: (operation: string, failure: SnapmillError) => void;
}

export function createLayerStore(options: LayerStoreOptions): LayerStore {
  const { database, client, operationId, image, onLeftBehind, copiesOf = () => undefined } = options;
  const call = <Name extends PoolJobName>(
    name: Name,
    payload: Arguments<Name>,
    patience: Omit<Patience, "onFailure">,
  ): Promise<Result<Name>> =>
    callPatiently(client, name, payload, { ...patience, onFailure: (failure) => options.onFailure(name, failure) });

  const committed = (chainId: ChainId, bytes: number) => ({
    name: snapshotKey(chainId),
    labels: {
      [labelNames.unpackImage]: image.slice(0, 2048),
      [labelNames.unpackBytes]: String(bytes),
      [labelNames.unpackOperation]: operationId,
    },
  });

  return {
    committedBytes: (chainId) => reading(() => committedLayerBytes(database, chainId)),
    attempts: (chainId) => reading(() => layerAttempts(database, chainId)),
    prepare: async (key, parent, chainId, signal) => {
      const labels = { [labelNames.unpackChain]: chainId };
      const given = { scope: ownScope, key, ...(parent && { parent }), labels };
      const { mounts } = await call("prepare", given, { awayMs: prepareAwayMs, signal }).catch((error: unknown) => {
        throw isSnapmillError(error, "not_found") ? removedMeanwhile(error) : error;
      });
      const [mount] = mounts;
      if (mount === undefined) throw failedPrecondition(`the pool prepared ${key} without a mount`);
      // An attempt counts only once commit has flushed it: no write to it has to reach the disk before.
      const copies = copiesOf(mount.source);
      return { devicePath: mount.source, fsType: mount.type, mountOptions: draftMountOptions(mount.type), copies };
    },
    commit: async (chainId, key, bytes, signal) => {
      await call("commit", { scope: ownScope, key, ...committed(chainId, bytes) }, endlessly(signal)).catch(
        committedMeanwhile,
      );
    },
    checkpoint: async (chainId, key, bytes, next, signal) => {
      const keyLabels = { [labelNames.unpackChain]: next };
      const given = { scope: ownScope, key, ...committed(chainId, bytes), keyLabels };
      await call("checkpoint", given, endlessly(signal)).catch(committedMeanwhile);
    },
    commitCopies: async (key, layers, next, signal) => {
      const copies = layers.map(({ chainId, bytes, copy }) => ({ copy, ...committed(chainId, bytes) }));
      const keyLabels = { [labelNames.unpackChain]: next };
      const given = { scope: ownScope, key, copies, keyLabels };
      await call("commit-copies", given, endlessly(signal)).catch((error: unknown) => {
        if (isFinal(error)) throw copiesGone(error);
        committedMeanwhile(error);
      });
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

/** A written layer is worth any wait: only cancelling the image ends it. */
const endlessly = (signal: AbortSignal) => ({ awayMs: Number.POSITIVE_INFINITY, signal, whenEnded: "leave" }) as const;

/** A layer that was found, and that nothing used yet, may be removed before the unpack uses it: it is unpacked again. */
export const removedMeanwhile = (cause: SnapmillError): SnapmillError =>
  aborted(`a layer was removed while the image was being unpacked, which is begun again: ${cause.message}`, cause);

/** An attempt that died left its commit in the queue, and that was done while the layer was unpacked again. */
function committedMeanwhile(error: unknown): never {
  if (!isSnapmillError(error, "already_exists")) throw error;
  throw aborted(`a layer was committed by an earlier attempt, and the image is begun again: ${error.message}`, error);
}

const isFinal = (error: unknown): error is SnapmillError =>
  isSnapmillError(error, "failed_precondition") || isSnapmillError(error, "not_found");

/** An operation that was interrupted is undone, and its copies with it: the layers are unpacked again. */
const copiesGone = (cause: SnapmillError): SnapmillError =>
  aborted(
    `copies of layers were lost before they were committed, and the image is begun again: ${cause.message}`,
    cause,
  );

/** A database that cannot be read (a lock, the disk) is no fault of the image: the job is retried. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isSnapmillError(error)) throw error;
    throw unavailable(`the pool's database cannot be read: ${asSnapmillError(error).message}`, error);
  }
}
