// Room: snapshotter. Owns the snapshotter: the verbs on one pool, executed one after the other.
import type { FsType } from "../domain/devices.ts";
import type { ChainId, OperationId, PoolName } from "../domain/identifiers.ts";
import type { Driver } from "../drivers/port.ts";
import {
  forJournaledJobs,
  type JournaledJobName,
  type JournaledVerb,
  type JournaledVerbs,
  journaledPayload,
  type Result,
} from "../jobs/contract.ts";
import type { Database } from "../metadata/database.ts";
import { assertPoolOwned, lastTakeOver, type TakeOver, takePoolOver } from "../metadata/pool.ts";
import { type FaultPoint, reach } from "../system/faults.ts";
import { isSweepDue, sweep } from "./cleanup.ts";
import type { Context } from "./context.ts";
import { lookForLoss } from "./lost-pool.ts";
import { createOperationQueue } from "./operation-queue.ts";
import { type RecoveryReport, reconcile } from "./reconcile.ts";
import { type CrashGuard, noCrashGuard } from "./strikes.ts";
import { verbs } from "./verbs.ts";

export interface SnapshotterOptions {
  readonly database: Database;
  /** Must be open. */
  readonly driver: Driver;
  readonly pool: PoolName;
  readonly fsType: FsType;
  /** Arguments for mkfs that replace snapmill's own. */
  readonly fsOptions?: readonly string[];
  readonly deviceSizeBytes: number;
  /** The largest size that a label can ask for. Default: 1 TiB. */
  readonly maxDeviceSizeBytes?: number;
  /** Notes what is being executed, so that the next process knows what this one died of. Default: nothing is noted. */
  readonly crashGuard?: CrashGuard;
  /** Accepts a pool that has lost its content, in order to give up the records. Default: false. */
  readonly acceptLoss?: boolean;
  /** Answers a removal at once and leaves its device to a job: see remove.ts. Default: false. */
  readonly asyncRemove?: boolean;
  /** Called inside the transaction that adds a device's removal to the outbox: queue its job in a later task. */
  readonly onRemovalQueued?: () => void;
  /** The next items of a batch are about to be in the outbox; otherwise like `onRemovalQueued`. */
  readonly onUnpackQueued?: () => void;
  /** How many items of a batch are queued or running, unless it says itself. Default: 4. */
  readonly defaultParallel?: number;
  /** Whether no process unpacks this chain, so that cleanup can remove what attempts at it have left. Default: never. */
  readonly isChainAbandoned?: (chain: ChainId) => boolean;
  /** Called with each sentence on what was put in order when `recover` had not been called. */
  readonly onNotice?: (sentence: string) => void;
  /** Called in each transaction: throws aborted while it is uncertain whether this process still owns its jobs. */
  readonly assertAwake?: () => void;
  /** Default: system/faults.ts. */
  readonly fault?: (point: FaultPoint) => void;
}

/**
 * The verbs on one pool. They can be called concurrently, and are executed one after the other in the order of the calls.
 * Each answers once its effect is on disk. A call that is repeated with the same operation ID and request has its effect
 * once, and gets the same answer, also if that is a final failure; with another request it is invalid_argument. After
 * `aborted` or `unavailable` the same call can be repeated.
 */
export interface Snapshotter extends JournaledVerbs {
  /** Takes the pool over and puts it in order. If it is not called first, the first operation does it. */
  recover(): Promise<RecoveryReport>;
  /** The part of cleanup that is done from time to time, without a job. */
  sweep(operationId: OperationId): Promise<Result<"cleanup">>;
  /** Waits until every call has been answered. */
  drain(): Promise<void>;
}

const defaultMaxDeviceSizeBytes = 2 ** 40;
const defaultParallel = 4;

/**
 * The only snapshotter on an open pool. It takes the pool over: an earlier one on the same database can no longer write.
 * Its calls fail with failed_precondition when the database belongs to another pool or driver.
 */
export function createSnapshotter(options: SnapshotterOptions): Snapshotter {
  const { database, driver, pool, fsType, deviceSizeBytes, crashGuard = noCrashGuard } = options;
  const context: Context = {
    database,
    driver,
    pool,
    fsType,
    fsOptions: options.fsOptions,
    deviceSizeBytes,
    maxDeviceSizeBytes: options.maxDeviceSizeBytes ?? defaultMaxDeviceSizeBytes,
    asyncRemove: options.asyncRemove ?? false,
    onRemovalQueued: options.onRemovalQueued ?? (() => undefined),
    onUnpackQueued: options.onUnpackQueued ?? (() => undefined),
    defaultParallel: options.defaultParallel ?? defaultParallel,
    isChainAbandoned: options.isChainAbandoned ?? (() => false),
    forgive: () => crashGuard.forgive(),
    reach: options.fault ?? reach,
  };
  const record = { name: pool, driver: driver.name, fsType, deviceSizeBytes };
  let ours: TakeOver | undefined;
  /** Once: later recoveries only check that the pool is still ours. */
  const takeOver = () => (ours ??= takePoolOver(database, record));
  const queue = createOperationQueue({
    database,
    reconcile: async () => {
      const look = options.acceptLoss === true ? undefined : await lookForLoss(context);
      await driver.claim(ours ?? lastTakeOver(database), () => {
        if (look instanceof Error) throw look;
        return takeOver();
      });
      const died = crashGuard.settle();
      const { lines } = await reconcile(context);
      return { lines: [...died, ...lines] };
    },
    crashGuard,
    onReconciled: ({ lines }) => lines.forEach((line) => options.onNotice?.(line)),
    assertOwned: () => {
      options.assertAwake?.();
      assertPoolOwned(database, ours);
    },
    settled: () => context.reach("settle.committed"),
  });
  const verb =
    <Name extends JournaledJobName>(name: Name): JournaledVerb<Name> =>
    (operationId, request) =>
      queue.submit<Result<Name>>({
        ...verbs[name](context, request, operationId),
        request: { operationId, job: name, payload: journaledPayload(name, pool, request) },
      });
  return {
    ...forJournaledJobs<JournaledVerbs>(verb),
    recover: () => queue.recover(),
    sweep: async (operationId) =>
      isSweepDue(context)
        ? await queue.submit({ ...sweep(context), request: { operationId, job: "sweep", payload: {} } })
        : { removedDevices: 0, removedSnapshots: 0 },
    drain: () => queue.drain(),
  };
}
