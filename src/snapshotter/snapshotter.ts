// Room: snapshotter. Owns the snapshotter: the verbs on one pool, executed one after the other.
import type { FsType } from "../domain/devices.ts";
import type { ChainId, OperationId, PoolName } from "../domain/identifiers.ts";
import type { Snapshot } from "../domain/snapshots.ts";
import type { Driver, GrowRequest } from "../drivers/port.ts";
import type { Database } from "../metadata/database.ts";
import { assertPoolOwned, lastTakeOver, type TakeOver, takePoolOver } from "../metadata/pool.ts";
import { type FaultPoint, reach } from "../system/faults.ts";
import { type AcceptUnpackRequest, acceptUnpack } from "./accept-unpack.ts";
import { type CleanupResult, cleanup, isSweepDue, sweep } from "./cleanup.ts";
import { type CommitRequest, commit } from "./commit.ts";
import type { Context } from "./context.ts";
import type { CreateRequest, Mounts } from "./create.ts";
import { type DoctorRequest, type DoctorResult, doctor } from "./doctor.ts";
import { type GrownPool, growPool } from "./grow-pool.ts";
import { lookForLoss } from "./lost-pool.ts";
import { createOperationQueue } from "./operation-queue.ts";
import { prepare } from "./prepare.ts";
import { type RecoveryReport, reconcile } from "./reconcile.ts";
import { type RemoveRequest, remove } from "./remove.ts";
import { type RemoveDeviceRequest, removeDevice } from "./remove-device.ts";
import { type ResetResult, resetPool } from "./reset-pool.ts";
import { type SettleUnpackRequest, settleUnpack } from "./settle-unpack.ts";
import { type Hands, noHands } from "./strikes.ts";
import { type UpdateRequest, update } from "./update.ts";
import { view } from "./view.ts";

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
export interface Snapshotter {
  /** Takes the pool over and puts it in order. Call it first; the first operation does it otherwise. */
  recover(): Promise<RecoveryReport>;
  prepare(operationId: OperationId, request: CreateRequest): Promise<Mounts>;
  view(operationId: OperationId, request: CreateRequest): Promise<Mounts>;
  commit(operationId: OperationId, request: CommitRequest): Promise<object>;
  remove(operationId: OperationId, request: RemoveRequest): Promise<object>;
  update(operationId: OperationId, request: UpdateRequest): Promise<Snapshot>;
  /** Called by the queue, for what the outbox holds. */
  removeDevice(operationId: OperationId, request: RemoveDeviceRequest): Promise<object>;
  cleanup(operationId: OperationId): Promise<CleanupResult>;
  sweep(operationId: OperationId): Promise<CleanupResult>;
  doctor(operationId: OperationId, request: DoctorRequest): Promise<DoctorResult>;
  growPool(operationId: OperationId, request: GrowRequest): Promise<GrownPool>;
  resetPool(operationId: OperationId): Promise<ResetResult>;
  acceptUnpack(operationId: OperationId, request: AcceptUnpackRequest): Promise<object>;
  settleUnpack(operationId: OperationId, request: SettleUnpackRequest): Promise<object>;
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
  const lane = createOperationQueue({
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
  return {
    recover: () => lane.recover(),
    prepare: (operationId, request) => lane.submit(prepare(context, operationId, request)),
    view: (operationId, request) => lane.submit(view(context, operationId, request)),
    commit: (operationId, request) => lane.submit(commit(context, operationId, request)),
    remove: (operationId, request) => lane.submit(remove(context, operationId, request)),
    update: (operationId, request) => lane.submit(update(context, operationId, request)),
    removeDevice: (operationId, request) => lane.submit(removeDevice(context, operationId, request)),
    cleanup: (operationId) => lane.submit(cleanup(context, operationId)),
    sweep: async (operationId) =>
      isSweepDue(context) ? await lane.submit(sweep(context, operationId)) : { removedDevices: 0, removedSnapshots: 0 },
    doctor: (operationId, request) => lane.submit(doctor(context, operationId, request)),
    growPool: (operationId, request) => lane.submit(growPool(context, operationId, request)),
    resetPool: (operationId) => lane.submit(resetPool(context, operationId)),
    acceptUnpack: (operationId, request) => lane.submit(acceptUnpack(context, operationId, request)),
    settleUnpack: (operationId, request) => lane.submit(settleUnpack(context, operationId, request)),
    drain: () => lane.drain(),
  };
}
