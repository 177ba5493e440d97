// Room: snapshotter. Owns the progress of a batch: its next items are queued, and an item ends with its unpack.
import { batchState, isBatchOver, tooManyFailed } from "../domain/batches.ts";
import { type BatchId, freshOperationId, type OperationId, ownScope, snapshotKey } from "../domain/identifiers.ts";
import {
  type BatchItem,
  cancelItem,
  cancelPendingItems,
  countAllItems,
  countInFlight,
  countItemsIn,
  endItem,
  failItem,
  type ItemFailure,
  itemOfOperation,
  queueItem,
  runningOperations,
  waitingItems,
} from "../metadata/batch-items.ts";
import { type BatchRecord, countItems, findBatch, markCancelled } from "../metadata/batches.ts";
import type { ImageRecord } from "../metadata/images.ts";
import { addToOutbox, cancelInOutbox, dropFromOutbox } from "../metadata/outbox.ts";
import { lookUpSnapshot } from "../metadata/snapshots.ts";
import type { Context } from "./context.ts";

/** Writes the batch's next items to the outbox, up to the limit in flight. Call every function here in a transaction. */
export function queueNextItems(context: Context, record: BatchRecord): void {
  const { database, pool, onUnpackQueued } = context;
  const { batch, parallel, priority, attempts, timeLimitMs } = record;
  if (record.cancelledAtMs !== undefined) return;
  const free = parallel - countInFlight(database, batch);
  const items = free > 0 ? waitingItems(database, batch, free) : [];
  for (const item of items) {
    const operationId = freshOperationId();
    const { reference, platform, registry } = item;
    const membership = { batch, priority, attempts, timeLimitMs };
    const payload = { pool, operationId, reference, platform, registry, batch: membership };
    queueItem(database, item, operationId);
    addToOutbox(database, { operationId, job: "unpack", payload });
  }
  if (items.length > 0) onUnpackQueued();
}

/** How the unpack of an item ended. */
export type ItemEnd =
  | { readonly kind: "unpacked"; readonly image: ImageRecord }
  | { readonly kind: "failed"; readonly failure: ItemFailure }
  | { readonly kind: "cancelled" };

/** Ends the item that an unpack belongs to, if there is one and it has not ended, and queues the next. */
export function endItemOf(context: Context, operationId: OperationId, end: ItemEnd): void {
  const item = itemOfOperation(context.database, operationId);
  if (item === undefined || item.endedAtMs !== undefined) return;
  endOpenItem(context, item, end);
  queueNextItems(context, findBatch(context.database, item.batch));
}

function endOpenItem(context: Context, item: BatchItem, end: ItemEnd): void {
  const { database } = context;
  switch (end.kind) {
    case "unpacked":
      endItem(database, item, wasThere(context, item, end.image) ? "present" : "done");
      break;
    case "failed":
      failItem(database, item, end.failure);
      cancelIfTooManyFailed(context, item.batch);
      break;
    case "cancelled":
      cancelItem(database, item);
      break;
  }
}

/** Whether the whole image was in the pool before the item was begun with, however often that was interrupted since. */
function wasThere({ database }: Context, { startedAtMs }: BatchItem, { chainId }: ImageRecord): boolean {
  const top = lookUpSnapshot(database, ownScope, snapshotKey(chainId));
  return top !== undefined && startedAtMs !== undefined && top.createdAtMs < startedAtMs;
}

function cancelIfTooManyFailed(context: Context, batch: BatchId): void {
  const { database } = context;
  const { failAfterPercent } = findBatch(database, batch);
  if (failAfterPercent === undefined) return;
  const [failed, total] = [countItemsIn(database, batch, "failed"), countAllItems(database, batch)];
  const reason = tooManyFailed(failed, total, failAfterPercent);
  if (reason !== undefined) cancelOpenItems(context, batch, reason);
}

export interface Cancelled {
  /** Items that ended with it. */
  readonly cancelled: number;
  /** Items whose unpack was asked to end. */
  readonly running: number;
}

/** Items that do not run end at once; those that run end when their unpack does. A batch that has ended stays as it is. */
export function cancelOpenItems({ database }: Context, batch: BatchId, reason: string): Cancelled {
  if (isBatchOver(batchState(countItems(database, batch), false))) return { cancelled: 0, running: 0 };
  markCancelled(database, batch, reason);
  const { cancelled, queued } = cancelPendingItems(database, batch);
  // A job that was queued for one finds, when it begins, that the item has ended.
  for (const operationId of queued) dropFromOutbox(database, operationId);
  const running = runningOperations(database, batch);
  for (const operationId of running) cancelInOutbox(database, operationId);
  return { cancelled, running: running.length };
}
