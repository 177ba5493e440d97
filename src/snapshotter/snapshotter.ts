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
import { type Hands, noHands } from "./strikes.ts";
import { verbs } from "./verbs.ts";

export interface SnapshotterOptions {
  readonly database: Database;
  /** Opened already. */
  readonly driver: Driver;
  readonly pool: PoolName;
  readonly fsType: FsType;
  /** Arguments of mkfs in place of snapmill's own. */
  readonly fsOptions?: readonly string[];
  readonly deviceSizeBytes: number;
  /** The most that a label can ask for. Default: 1 TiB. */
  readonly maxDeviceSizeBytes?: number;
  /** Notes what is being executed, for the next process, should this one die of it. Default: nothing is noted. */
  readonly hands?: Hands;
  /** Takes a pool for the database's, whatever is in it: to give up what is left. Default: false. */
  readonly acceptLoss?: boolean;
  /** Answers a removal at once and leaves its device to a job: see remove.ts. Default: false. */
  readonly asyncRemove?: boolean;
  /** A device's removal is about to be in the outbox: its job can be queued once this process is out of its stack. */
  readonly onRemovalQueued?: () => void;
  /** The next items of a batch are about to be in the outbox; otherwise like `onRemovalQueued`. */
  readonly onUnpackQueued?: () => void;
  /** How many items of a batch are queued or running, unless it says itself. Default: 4. */
  readonly defaultParallel?: number;
  /**
   * Whether no process works on unpacking this chain: cleanup then removes what attempts at it left. Default: never.
   */
  readonly isChainAbandoned?: (chain: ChainId) => boolean;
  /** Told, a sentence each, what was put in order without `recover` having been called. */
  readonly onNotice?: (sentence: string) => void;
  /** Called in each transaction: throws aborted while it is not known whether jobs are still this process's to do. */
  readonly assertAwake?: () => void;
  /** Default: system/faults.ts. */
  readonly fault?: (point: FaultPoint) => void;
}

/**
 * The verbs on one pool. They can be called at once and are executed one after the other, in the order of their calls.
 * Each answers when its effect is on disk. The same operation ID with the same request has its effect once and gets the
 * same answer, a final failure too; with another request it is invalid_argument. `aborted` and `unavailable` may pass:
 * the same operation can be asked for again.
 */
export interface Snapshotter extends JournaledVerbs {
  /** Takes the pool over and puts it in order. Call it first; the first operation does it otherwise. */
  recover(): Promise<RecoveryReport>;
  /** What is to be done from time to time, with no job asking for it. */
  sweep(operationId: OperationId): Promise<Result<"cleanup">>;
  /** Waits until all that was asked for has been answered. */
  drain(): Promise<void>;
}

const defaultMaxDeviceSizeBytes = 2 ** 40;
const defaultParallel = 4;

/**
 * A snapshotter on an open pool; the only one on it. Takes the pool over at once: one made earlier on the same database
 * can write no more. Throws failed_precondition when the database is another pool's or another driver's.
 */
export function createSnapshotter(options: SnapshotterOptions): Snapshotter {
  const { database, driver, pool, fsType, deviceSizeBytes, hands = noHands } = options;
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
    forgive: () => hands.forgive(),
    reach: options.fault ?? reach,
  };
  const record = { name: pool, driver: driver.name, fsType, deviceSizeBytes };
  let ours: TakeOver | undefined;
  /** Once: what puts the pool in order again later asks whether it is still ours. */
  const takeOver = () => (ours ??= takePoolOver(database, record));
  const queue = createOperationQueue({
    database,
    reconcile: async () => {
      const look = options.acceptLoss === true ? undefined : await lookForLoss(context);
      await driver.claim(ours ?? lastTakeOver(database), () => {
        if (look instanceof Error) throw look;
        return takeOver();
      });
      const died = hands.settle();
      const { lines } = await reconcile(context);
      return { lines: [...died, ...lines] };
    },
    hands,
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
